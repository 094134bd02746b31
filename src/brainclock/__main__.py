"""``python -m brainclock`` is the command ``brainclock``."""

import sys

from brainclock.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
