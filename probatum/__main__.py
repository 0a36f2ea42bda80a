"""`python -m probatum`."""

from probatum.cli import main

main()
