"""The only modules that write queries."""
