"""The shop's controllers: methods with routes, and around them what their decorators say."""
