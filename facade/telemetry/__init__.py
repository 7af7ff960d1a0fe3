"""Metrics, logs, correlation, stages, traces."""
