"""Train a scikit-learn model, register it, deploy it, ask it over HTTP, and tell it the truth.

trimtab up                              # in another terminal
python examples/deploy_and_predict.py
"""

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

import trimtab

features, target = load_iris(return_X_y=True, as_frame=True)
train_x, test_x, train_y, test_y = train_test_split(features, target, random_state=0)
model = LogisticRegression(max_iter=1000).fit(train_x, train_y)

with trimtab.run("flowers", name="logistic") as run:
    run.log_metric("accuracy", model.score(test_x, test_y))
    logged = trimtab.models.log(model, run=run, register="flowers", signature=train_x)

assert logged.version is not None
trimtab.endpoints.deploy("flowers", logged.version.uri)

rows = test_x.head(5)
predictions, prediction_id = trimtab.endpoints.predict("flowers", rows.to_dict("records"))
trimtab.endpoints.feedback("flowers", prediction_id, test_y.head(5).tolist())
print(
    f"{logged.version.uri} answered {predictions}; the truth was {test_y.head(5).tolist()} ({prediction_id})"
)
