"""Settings and output of one command."""

from __future__ import annotations

import sys
from typing import Any

from dispatcher.cli.output import Output
from dispatcher.logs import log_to
from dispatcher.settings import Configuration, load
from dispatcher.wording import Wording


def configure(as_json: bool, *, service: bool = False, **flags: Any) -> tuple[Configuration, Output]:
    """Load the settings with these flags on top, and speak the language they name.

    A service logs what happens unless the settings say otherwise; a command, which tells its person, only bugs.
    """
    from dispatcher.cli.app import language_of

    configuration = load(flags)
    settings = configuration.settings
    log_to(sys.stderr, settings.log or ("info" if service else "error"), settings.log_format)
    words = Wording(settings.lang or language_of([]))
    only_lines = service and settings.log_format == "json"
    return configuration, Output(as_json=as_json, wording=words, only_lines=only_lines)
