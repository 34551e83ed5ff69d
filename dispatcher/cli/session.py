"""Settings and output of one command."""

from __future__ import annotations

import logging
from typing import Any

from dispatcher.cli.output import Output
from dispatcher.settings import Configuration, load
from dispatcher.wording import Wording


def configure(as_json: bool, **flags: Any) -> tuple[Configuration, Output]:
    """Load the settings with these flags on top, and speak the language they name."""
    from dispatcher.cli.app import language_of

    configuration = load(flags)
    settings = configuration.settings
    logging.basicConfig(level=settings.log.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # Dramatiq tells of its threads at INFO, aiohttp of every request: neither is about the person's campaign
    for noisy in ("dramatiq", "aiohttp", "asyncio"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))
    return configuration, Output(as_json=as_json, wording=Wording(settings.lang or language_of([])))
