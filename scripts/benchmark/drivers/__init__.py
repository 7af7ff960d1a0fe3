"""Peers that run in process, each behind the same lines of JSON; they run in environments of their own."""
