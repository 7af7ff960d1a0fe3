"""Peers that run in process, behind one protocol of JSON lines, each in its own environment."""
