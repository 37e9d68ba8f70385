"""`python -m almena` is the same as the command `almena`."""

from almena.cli import main

main()
