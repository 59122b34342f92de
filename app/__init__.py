"""A bookshop: a small FastAPI application whose cross-cutting logic lives in interceptors."""
