"""What a bundle brings along to predict where no server is: a runner that needs numpy and ONNX Runtime alone.

These modules import nothing of the rest, since they are copied into every bundle as they are.
"""
