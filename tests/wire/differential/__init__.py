"""Records what MLflow's server answers, plays it to ours, and names every field that differs."""
