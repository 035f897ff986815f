"""Compiles models: the native model becomes a graph of ONNX Runtime where that answers the same, in a process of its own.

    python -m trimtab.serving.compiling --model DIR --out DIR [--allow-pickle] [--rows FILE]

`convert` writes the graph, `compare` sets it against the native model on reference rows, `verdict` says what came out.
"""
