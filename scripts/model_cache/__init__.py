"""The models exported on this machine: one bundle a folder, in `models` of RERANKER_HOME, and what each was exported from."""
