"""Moving runs and models in and out: MLflow's stores, TensorBoard's event files, and plain JSON."""
