"""What `scripts/serve.py` is made of."""
