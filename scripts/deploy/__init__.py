"""Deployment files, and the checks of `make check-deploy`."""
