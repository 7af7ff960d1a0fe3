"""The Triton servers: client, fleet, readiness."""
