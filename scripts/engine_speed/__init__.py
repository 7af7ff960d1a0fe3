"""Parts of `python -m scripts.bench_engine`: engines in process, without server and tokenizer."""
