"""Hooks of the resources, one module per model: `user_hooks.py` holds those of `User`. Their names say when they run."""
