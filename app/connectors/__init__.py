"""The shop's connectors: what goes out to the database and to the supplier, and the hooks around it."""
