"""Token tensors to logits, inside Triton: scheduler, engines and the model's life cycle. Knows neither texts nor HTTP."""
