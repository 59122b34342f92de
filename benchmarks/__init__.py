"""What the library costs, measured against what one would write without it: `python -m benchmarks`."""
