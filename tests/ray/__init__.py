"""Bulk runs on Ray (900 MB, in its own environment): `make test-ray`, not `make test`."""
