"""`python -m triad`, the same as `triad`: settles the environment, then loads the command line."""

import importlib

from triad.environment import enter, leave


def main() -> None:
    """The console entry. The command line is imported when no restart is ahead, so that none loads it in vain."""
    enter()
    importlib.import_module("triad.cli").main()
    leave()


if __name__ == "__main__":
    main()
