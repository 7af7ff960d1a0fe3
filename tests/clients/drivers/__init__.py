"""One program per client library: `python -m tests.clients.drivers.<client> <base URL> <model>` prints its cases' outcomes as JSON.

They run in the environment `.venv-clients` or `.venv-retrieval`, with the repository's root as the working directory.
"""
