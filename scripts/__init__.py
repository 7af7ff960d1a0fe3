"""Verbs: programs that are run, `python -m scripts.<verb>`, mostly through the Makefile."""
