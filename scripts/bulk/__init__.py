"""The parts of `python -m scripts.rerank_bulk`, which ranks many rows in blocks and can resume."""
