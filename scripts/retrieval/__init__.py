"""Retrieval for training and evaluation: data sets, first-stage rankers and metrics. Nothing here serves requests."""
