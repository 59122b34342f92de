"""What happens after a resource has changed, one module per model: `user_events.py` holds what happens to `User`."""
