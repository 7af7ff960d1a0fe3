"""Deployment files, and what `make check-deploy` holds them to."""
