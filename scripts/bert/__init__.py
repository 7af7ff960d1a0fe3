"""BERT as the base model and the default reranker use it."""
