"""The parts of `scripts/bench.py` and `scripts/bench_peers.py`: workload -> load -> points -> figures -> report."""
