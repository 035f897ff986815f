"""What `bench_serving.py` is made of: the models, the load, ours, the peers and the programs that they run."""
