"""The parts of `scripts.export_model`: one module per family of checkpoints, and what all families share."""
