"""What `interceptors.connectors.zeep` is made of."""
