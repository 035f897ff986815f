"""Writes `model.onnx` beside a model, in an environment with skl2onnx and onnxmltools."""

import joblib
from loading import FOLDER, KIND

model = joblib.load(FOLDER / "model.joblib")
if KIND == "xgboost":
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    graph = convert_xgboost(model, initial_types=[("rows", FloatTensorType([None, 12]))])
else:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    kind = {"zipmap": False}
    graph = to_onnx(model, initial_types=[("rows", FloatTensorType([None, 12]))], options={id(model): kind})
(FOLDER / "model.onnx").write_bytes(graph.SerializeToString())
