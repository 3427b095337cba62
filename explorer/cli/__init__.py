"""The `explorer` command: one file per group of verbs."""

from explorer.cli.main import main, run

__all__ = ["main", "run"]
