"""Bulk runs on Ray, which takes 900 MB and is installed apart: not part of `make test`, but of `make test-ray`."""
