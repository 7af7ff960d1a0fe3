"""The parts of `scripts.train_model`."""
