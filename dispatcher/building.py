"""Builds what works with a gateway from one application's settings: the house of a launch, and a worker."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dispatcher.accounts import logged_purse
from dispatcher.campaign.forbidden import ForbiddenWords
from dispatcher.campaign.prices import Funds
from dispatcher.errors import Unreachable, UsageError
from dispatcher.intake.house import House
from dispatcher.intake.inputs import inputs_of
from dispatcher.ledger import CampaignView, Ledger
from dispatcher.line import Line
from dispatcher.ports import problem_of
from dispatcher.report.write import ReportWritten
from dispatcher.retiring import retiring
from dispatcher.settings import Target, choose_target
from jobs.metrics import MeteredPace, MeteredSms, Metrics
from jobs.queue import embedded_queue, redis_queue
from jobs.sender import EmbeddedSender
from jobs.service import Post, WorkerService
from jobs.sweep import ALIVE

if TYPE_CHECKING:
    from dispatcher.application import Application


def build_house(application: Application, funds: Funds, stack: ExitStack) -> House:
    """Everything a launch works with; what has to be closed again goes onto ``stack``."""
    target = choose_target(application.configuration)
    forbidden = ForbiddenWords.load_if_named(application.settings.forbid_file)
    ledger = application.ledger()
    line = Line(application, ledger, target, "run", stack)
    return house_on(line, application, ledger, target, stack, funds=funds, forbidden=forbidden)


def house_on(
    line: Line,
    application: Application,
    ledger: Ledger,
    target: Target,
    stack: ExitStack,
    *,
    funds: Funds,
    forbidden: ForbiddenWords | None,
) -> House:
    """The house of a launch over a line that is open already."""
    reporter = application.reporter(ledger)
    guard = timedelta(days=application.settings.guard_days)
    start_elsewhere = (
        _start_in_workers(application, ledger, target.name, stack) if application.distributed else None
    )

    def has_workers() -> bool:
        return bool(ledger.processes.senders(target.name, ALIVE, application.now()))

    @contextmanager
    def sender(stop: threading.Event) -> Iterator[EmbeddedSender]:
        parts, gateway = line.open()
        try:
            with EmbeddedSender(
                parts,
                line.reconciler(parts),
                stop.is_set,
                gateway.aclose,
                gateway=target.name,
                guard=guard,
                start_elsewhere=start_elsewhere,
            ) as running:
                yield running
        finally:
            parts.ledger.close()

    def write_report(campaign: CampaignView, report_dir: Path | None) -> ReportWritten:
        return reporter.write(campaign, report_dir, now=application.now())

    return House(
        ledger=ledger,
        gateway=target.name,
        default_region=application.settings.default_region,
        clock=line.clock,
        owner=line.owner,
        owners=line.owners,
        inputs=inputs_of(application.folder, ledger),
        book=application.price_book(),
        funds=funds,
        guard=guard,
        rng=random.Random(),
        services=line.services,
        reconciler=line.reconciler,
        sender=sender,
        write_report=write_report,
        forbidden=forbidden,
        ask_funds=logged_purse(application),
        account=application.account,
        has_workers=has_workers if application.distributed else None,
        zone_is_chosen="timezone" in application.settings.model_fields_set,
    )


def _start_in_workers(
    application: Application, ledger: Ledger, gateway: str, stack: ExitStack
) -> Callable[[int], None]:
    """Starts a campaign's first lane in a worker; the workers' sweep adds the others, and starts it if this fails."""
    queue = redis_queue(application.settings.broker, ledger.id, gateway)
    stack.callback(queue.close)

    def start_first(campaign_id: int) -> None:
        with suppress(Unreachable):  # the queue carries hints: nothing is lost
            queue.start_lane(campaign_id, 0)

    return start_first


@contextmanager
def build_worker(application: Application) -> Iterator[WorkerService]:
    """What sends for every campaign of the ledger, while the block lasts."""
    with ExitStack() as stack:
        target = choose_target(application.configuration, must_be_named=True)
        ledger = application.ledger()
        line = Line(application, ledger, target, "worker", stack)
        yield worker_on(line, application, ledger, target, stack)


def worker_on(
    line: Line, application: Application, ledger: Ledger, target: Target, stack: ExitStack
) -> WorkerService:
    """A worker at work over a line that is open already, until ``stack`` is closed."""
    if application.distributed:
        queue = redis_queue(application.settings.broker, ledger.id, target.name)
    else:
        queue = embedded_queue()
    stack.callback(queue.close)
    guard = timedelta(days=application.settings.guard_days)
    forbid_file = application.settings.forbid_file
    post = Post(
        ledger=ledger,
        gateway=target.name,
        queue=queue,
        guard=guard,
        gone=line.owners.is_gone,
        forbid_file=None if forbid_file is None else forbid_file.absolute(),
    )
    stack.enter_context(retiring(application, ledger, target.name))
    parts, gateway = line.open()
    stack.callback(parts.ledger.close)
    metrics = Metrics()
    if port := application.settings.metrics_port:
        _serve(metrics, port, stack)
        parts = replace(
            parts, gateway=MeteredSms(parts.gateway, metrics), pace=MeteredPace(parts.pace, metrics)
        )
    return stack.enter_context(WorkerService(parts, post, line.reconciler(parts), gateway.aclose, metrics))


def _serve(metrics: Metrics, port: int, stack: ExitStack) -> None:
    try:
        stack.enter_context(metrics.served(port))
    except OSError as error:
        raise UsageError("settings_metrics_port", found=str(port), problem=problem_of(error)) from error
