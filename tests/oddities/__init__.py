"""Tiny checkpoints as people publish them: each of a family, with one thing that differs from what transformers writes by default.

Each is either served with the score that transformers itself gives it, or refused in one line: tests/unit/scripts/test_oddities.py holds
the export to it, and docs/exports.md to both lists. A further oddity is one more entry in one of them.
"""
