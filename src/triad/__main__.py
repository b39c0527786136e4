"""`python -m triad`, the same as `triad`."""

from triad.cli import main

main()
