"""What ``run`` and ``resume`` share: open the house, launch, print where it ended, give the exit code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from dispatcher.accounts import Purse, open_purse
from dispatcher.application import Application
from dispatcher.campaign.prices import Funds
from dispatcher.cli.account_view import show_credit_line
from dispatcher.cli.campaign_view import campaign_values, show_landing
from dispatcher.cli.exits import Exit, exit_code
from dispatcher.cli.inputs import FileFlags, duration, funds
from dispatcher.cli.output import Output
from dispatcher.cli.own_token_view import own_token_values, see_own_token, show_own_token
from dispatcher.cli.signals import ended_like_ctrl_c
from dispatcher.cli.standing_view import standing_values
from dispatcher.cli.terminal import Terminal, Times
from dispatcher.errors import DispatcherError, UsageError
from dispatcher.intake.account import Credit
from dispatcher.intake.canary import Canary
from dispatcher.intake.detaching import require_sender
from dispatcher.intake.house import House, Watcher
from dispatcher.intake.launch import Launch
from dispatcher.intake.requests import Landing, LaunchRequest, ResumeRequest
from dispatcher.intake.side_by_side import launch_all
from dispatcher.ledger.states import UNDER_WAY
from dispatcher.settings import Configuration, GatewayKind, choose_target

_ATTENTION = (Exit.OK, Exit.PROBLEMS, Exit.WAITING, Exit.HALTED, Exit.UNREACHABLE, Exit.INTERRUPTED)
"""Of several campaigns of one file, the exit code further on counts."""


@dataclass(frozen=True)
class Ways:
    """How a person wants to be asked, and how long they stay.  ``detach``: other processes send."""

    yes: bool = False
    wait: bool = True
    wait_delivery: timedelta | None = None
    canary: Canary | None = None
    detach: bool = False


def launch_file(
    configuration: Configuration,
    output: Output,
    requests: Sequence[LaunchRequest],
    flags: FileFlags,
    ways: Ways,
) -> int:
    """Run a file, once for each of its reminders; gives the exit code of the campaign that needs most attention."""
    announce_gateway(configuration, output)
    money = funds(flags, configuration.settings)
    return _launch(
        configuration,
        output,
        money,
        lambda house, watcher: launch_all(
            house,
            watcher,
            requests,
            wait_for_doubts=ways.wait,
            wait_delivery=ways.wait_delivery,
            canary=ways.canary,
            detached=ways.detach,
        ),
        ways,
    )


def resume_campaign(
    configuration: Configuration,
    output: Output,
    request: ResumeRequest,
    ways: Ways,
    wallet: str | None = None,
) -> int:
    """Resume a campaign, with so much in the wallet as far as a person says; gives the exit code."""
    announce_gateway(configuration, output)
    return _launch(
        configuration,
        output,
        funds(None, configuration.settings, wallet),
        lambda house, watcher: [
            Launch(
                house,
                watcher,
                wait_for_doubts=ways.wait,
                wait_delivery=ways.wait_delivery,
                canary=ways.canary,
            ).resume(request)
        ],
        ways,
    )


def check_waiting(
    wait_delivery: str | None, canary: int | None, canary_wait: str | None, *, elsewhere: Mapping[str, bool]
) -> None:
    """UsageError when somebody wants to wait for what this process does not send, or for nothing.

    ``elsewhere``: flags by which nothing, or more than one campaign, is sent here, and whether each was given.
    """
    for flag, wanted in (("--wait-delivery", wait_delivery), ("--canary", canary)):
        for other, given in elsewhere.items():
            several = (
                other == "--remind-before" and flag == "--wait-delivery"
            )  # these wait one after the other
            if wanted is not None and given and not several:
                raise UsageError("usage_contradiction", found=f"{flag}, {other}")
    if canary_wait is not None and canary is None:
        raise UsageError("usage_canary_wait")


def chosen_canary(rows: int | None, wait: str | None) -> Canary:
    """The rows that go first, as typed."""
    found = duration("--canary-wait", wait)
    return Canary(rows or 0) if found is None else Canary(rows or 0, found)


def announce_gateway(configuration: Configuration, output: Output) -> None:
    """Say where texts would go, and who chose that."""
    target = choose_target(configuration)
    values: dict[str, Any] = {"url": target.base_url}
    if target.kind is not GatewayKind.SIMULATOR:
        values |= {
            "gateway_origin": output.wording(f"origins.{configuration.origin('gateway')}"),
            "token_origin": output.wording(f"origins.{configuration.origin('token')}"),
        }
    output.tell(f"run.gateway_{target.kind}", **values)


def _launch(
    configuration: Configuration,
    output: Output,
    money: Funds,
    start: Callable[[House, Watcher], Sequence[Landing]],
    ways: Ways,
) -> int:
    with (
        ended_like_ctrl_c(),
        Application(configuration, output.wording) as application,
        Terminal(output, yes=ways.yes, times=_times(configuration)) as terminal,
    ):
        house = replace(application.house(money), ask_funds=announced_purse(application, output))
        terminal.rows_ahead = lambda: house.ledger.traffic.rows_ahead(house.gateway)
        if ways.detach:
            require_sender(house, application.now())
        landings = start(house, terminal)
        standing = [standing_values(house.ledger, landing.campaign) for landing in landings]
        seen = [see_own_token(house, landing) for landing in landings]
    terminal.close()
    shown = []
    for landing, waits, token in zip(landings, standing, seen, strict=True):
        show_landing(output, landing, waits["max_cost_needed"])
        show_own_token(output, token)
        if ways.detach and landing.campaign.state in UNDER_WAY:
            output.tell("run.detached", campaign=landing.campaign.id)
        values = campaign_values(landing.campaign, landing.counts)
        if landing.discarded:  # a number that no command knows any more
            values["campaign"] = None
        values |= {"report": _path(landing), "seconds": landing.seconds, **waits}
        values["capped_token"] = own_token_values(token)
        shown.append({**values, **terminal.details(landing)})
    first = shown[0]
    output.result(first if len(shown) == 1 else {**first, "reminders": shown})
    return max(map(exit_code, landings), key=_ATTENTION.index)


def announced_purse(application: Application, output: Output) -> Purse | None:
    """Says once what the account has, and each time that it could not be asked, which stops nothing: the gateway turns
    away by itself what is not paid for.
    """
    told: list[Credit] = []

    def heard(credit: Credit) -> None:
        if not told:
            told.append(credit)
            show_credit_line(output, credit, application.now())

    def failed(error: DispatcherError) -> None:
        output.warn(output.wording("account.not_asked", why=output.wording.in_short(error)))

    return open_purse(application, heard=heard, failed=failed)


def _times(configuration: Configuration) -> Times:
    return Times(configuration.settings.zone, configuration.settings.rate_per_minute)


def _path(landing: Landing) -> str | None:
    return str(landing.report.target) if landing.report else None
