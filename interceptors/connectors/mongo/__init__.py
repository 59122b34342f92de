"""What `interceptors.connectors.pymongo` is made of."""
