"""Texts to logits over gRPC, by calls to the model `reranker` of the same Triton. Knows no HTTP."""
