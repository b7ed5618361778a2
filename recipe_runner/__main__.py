"""`python -m recipe_runner` is `recipe-run`."""

import sys

from recipe_runner.cli import main

if __name__ == "__main__":
    sys.exit(main())
