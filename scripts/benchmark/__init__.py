"""What `scripts/bench.py` and `scripts/bench_peers.py` are made of: workload -> load -> points -> figures -> report."""
