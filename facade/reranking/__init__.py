"""Score pairs: what HTTP, gRPC and bulk share. Knows no HTTP and no Triton."""
