"""The wire contracts, one module a request shape. Knows no aiohttp and no tensors."""
