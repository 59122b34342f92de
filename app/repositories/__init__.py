"""Rows in the database, one module per table; what leaves here is a schema, without a session behind it."""
