"""Many rows through a compiled model's trees by XGBoost's predictor, which takes them in blocks.

ONNX Runtime walks one row down one tree after the other, which is best for one row. XGBoost's predictor takes blocks of
rows down trees that lie close together: for hundreds of rows about twice as fast on one processor. So the trees
are taken out of the graph (`graphs`), written as XGBoost has them (`model`) and asked through its C interface
(`predictor`), without the Python package and what that imports; what stands before and after them stays a graph.
"""
