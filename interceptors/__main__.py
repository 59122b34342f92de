"""`python -m interceptors`."""

import sys

from interceptors.cli import main

if __name__ == "__main__":
    sys.exit(main())
