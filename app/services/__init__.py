"""What the shop does, whoever asks: a controller, a worker, a command."""
