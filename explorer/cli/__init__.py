"""The `explorer` command; every file holds a group of its subcommands."""

from explorer.cli.main import main, run

__all__ = ["main", "run"]
