"""What ``run`` and ``resume`` share: open the house, launch, print where it ended, give the exit code."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from dispatcher.application import Application
from dispatcher.campaign.prices import Funds
from dispatcher.cli.campaign_view import campaign_values, show_landing
from dispatcher.cli.exits import exit_code
from dispatcher.cli.inputs import FileFlags, funds
from dispatcher.cli.output import Output
from dispatcher.cli.terminal import Terminal
from dispatcher.intake.launch import Launch
from dispatcher.intake.requests import Landing, LaunchRequest, ResumeRequest
from dispatcher.settings import Configuration, GatewayKind, choose_target


def launch_file(
    configuration: Configuration,
    output: Output,
    request: LaunchRequest,
    flags: FileFlags,
    *,
    yes: bool,
    wait: bool,
) -> int:
    """Run a file; gives the exit code."""
    announce_gateway(configuration, output)
    return _launch(
        configuration,
        output,
        funds(flags, configuration.settings),
        lambda launch: launch.run(request),
        yes=yes,
        wait=wait,
    )


def resume_campaign(
    configuration: Configuration, output: Output, request: ResumeRequest, *, yes: bool, wait: bool
) -> int:
    """Resume a campaign; gives the exit code."""
    announce_gateway(configuration, output)
    return _launch(
        configuration, output, Funds({}, None), lambda launch: launch.resume(request), yes=yes, wait=wait
    )


def announce_gateway(configuration: Configuration, output: Output) -> None:
    """Say where texts would go, and who chose that."""
    target = choose_target(configuration)
    values: dict[str, Any] = {"url": target.base_url}
    if target.kind is not GatewayKind.SIMULATOR:
        values |= {
            "gateway_origin": configuration.origin("gateway"),
            "token_origin": configuration.origin("token"),
        }
    output.tell(f"run.gateway_{target.kind}", **values)


def _launch(
    configuration: Configuration,
    output: Output,
    money: Funds,
    start: Callable[[Launch], Landing],
    *,
    yes: bool,
    wait: bool,
) -> int:
    with (
        ended_like_ctrl_c(),
        Application(configuration, output.wording) as application,
        Terminal(output, yes=yes) as terminal,
    ):
        house = application.house(money)
        landing = start(Launch(house, terminal, wait_for_doubts=wait))
    terminal.close()
    show_landing(output, landing)
    values = campaign_values(landing.campaign, landing.counts)
    if landing.discarded:  # a number that no command knows any more
        values["campaign"] = None
    values |= {"report": _path(landing), "seconds": landing.seconds}
    output.result({**values, **terminal.details(landing)})
    return exit_code(landing)


def _path(landing: Landing) -> str | None:
    return str(landing.report.target) if landing.report else None


@contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """Whoever ends the program politely (a service manager, a closed terminal) gets what Ctrl-C gets.

    What is in flight is settled and the campaign is paused, instead of leaving rows in doubt.  For the main thread.
    """
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # nohup, say
            signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if callable(signal.getsignal(signal.SIGINT)):
        signal.raise_signal(signal.SIGINT)  # while asyncio runs, it has a handler of its own there
    else:  # a shell that starts a program in the background has it ignore Ctrl-C
        raise KeyboardInterrupt
