"""What `interceptors.connectors.sqlalchemy` is made of."""
