// The three lines that fill an experiment, for this very server.
export const RUN_CODE = `import mlflow
mlflow.set_tracking_uri("${location.origin}"); mlflow.set_experiment("flight-delay")
with mlflow.start_run(): mlflow.log_param("depth", 6); mlflow.log_metric("loss", 0.41)`;
