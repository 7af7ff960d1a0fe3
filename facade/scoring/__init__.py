"""Token pairs -> logits: chunks in flight, admission, measured speed."""
