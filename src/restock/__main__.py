"""`python -m restock` is the `restock` command."""

from restock.cli.app import main

main()
