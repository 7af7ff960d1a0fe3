"""The client libraries that people use with the Reranking NIM, unchanged, against this server."""
