"""Track a training with the MLflow client, unchanged but for the address.

trimtab up                              # in another terminal
python examples/track_with_mlflow.py
"""

import os

import mlflow
from mlflow.models import infer_signature
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split

mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000"))
mlflow.set_experiment("diabetes")

features, target = load_diabetes(return_X_y=True, as_frame=True)
train_x, test_x, train_y, test_y = train_test_split(features, target, random_state=0)

for alpha in (0.1, 1.0):
    with mlflow.start_run(run_name=f"ridge, alpha {alpha}"):
        model = Ridge(alpha=alpha).fit(train_x, train_y)
        mlflow.log_param("alpha", alpha)
        mlflow.log_metric("r2", r2_score(test_y, model.predict(test_x)))

with mlflow.start_run(run_name="chosen") as run:
    mlflow.sklearn.log_model(
        model,
        name="model",
        signature=infer_signature(train_x, model.predict(train_x)),
        pip_requirements=["scikit-learn"],
        registered_model_name="diabetes",
    )

best = mlflow.search_runs(order_by=["metrics.r2 DESC"], filter_string="metrics.r2 > 0", max_results=1)
print(f"Best: {best.loc[0, 'tags.mlflow.runName']} with r2 = {best.loc[0, 'metrics.r2']:.3f}")
