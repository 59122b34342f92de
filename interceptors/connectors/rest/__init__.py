"""What `interceptors.connectors.httpx` is made of."""
