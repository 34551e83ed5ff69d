"""The command line: one module per command.  Each parses, calls, prints, and decides nothing."""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit with its documented code."""
    from dispatcher.cli.app import run

    raise SystemExit(run())
