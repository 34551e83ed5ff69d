"""Where campaigns keep the files that they were read from."""

from __future__ import annotations

from pathlib import Path

from dispatcher.ledger import Ledger


def inputs_of(folder: Path, ledger: Ledger) -> Path:
    """Where the inputs of the ledger's campaigns are kept.  Ledgers may share a folder, never what lies in here."""
    return folder / "inputs" / ledger.id
