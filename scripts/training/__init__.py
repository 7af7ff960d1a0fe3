"""The parts of `scripts.train_model` and `scripts.calibrate_model`."""
