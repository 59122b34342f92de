"""The shop's interceptors, one module each. `registry.discover` registers those marked `@global_interceptor`."""
