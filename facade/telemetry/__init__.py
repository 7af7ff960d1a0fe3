"""Metrics, logs, request correlation, stage times, and the URLs of traces."""
