"""The serving data plane: a gateway process and model replicas that stand apart from the server and its database."""
