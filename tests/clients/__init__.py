"""The usual client libraries of the Reranking NIM, unchanged, against this server."""
