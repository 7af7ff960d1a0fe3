"""The parts of `scripts/serve.py`."""
