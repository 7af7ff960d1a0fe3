"""Parts of `python -m scripts.rerank_bulk`: many rows of query and passages, block by block, resumable."""
