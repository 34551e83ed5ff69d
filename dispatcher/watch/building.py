"""Builds the watcher from one application's settings: a house and a worker over one line, and the folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dispatcher.building import house_on, worker_on
from dispatcher.campaign.forbidden import ForbiddenWords
from dispatcher.campaign.prices import Funds
from dispatcher.errors import DispatcherError, UsageError
from dispatcher.line import Line
from dispatcher.settings import choose_target
from dispatcher.watch.bell import Bell, is_remote
from dispatcher.watch.folder import Place, WatchedFolder
from dispatcher.watch.orders import Orders
from dispatcher.watch.ownership import Turn, folder_id
from dispatcher.watch.quiet import Tell
from dispatcher.watch.rest import Rest
from dispatcher.watch.rules import Rules
from dispatcher.watch.service import FolderService, Post
from jobs.sweeping import swept

if TYPE_CHECKING:
    from dispatcher.application import Application

ROLE = "watch"
DOUBT_SECONDS = 300.0  # on top of the quiet period: a few looks at the gateway's listing
SETTLE_SECONDS, REMOTE_SETTLE_SECONDS = 5.0, 15.0


@dataclass(frozen=True)
class WatchRequest:
    """What ``watch`` was asked for.  ``settle`` None: as the folder needs it; ``poll``: do not trust in events."""

    folder: Path
    orders: Orders
    funds: Funds
    approved: Path | None = None
    settle: float | None = None
    poll: bool = False


@contextmanager
def build_watch(
    application: Application,
    request: WatchRequest,
    tell: Tell,
    tell_waits: Callable[[DispatcherError | None], None],
) -> Iterator[Callable[[], None]]:
    """Gives what serves until interrupted.

    UsageError where folder, ``campaign.toml`` or settings are not as they must be; then nothing was touched but the
    folder's own subfolders.
    """
    with ExitStack() as stack:
        target = choose_target(application.configuration, must_be_named=True)
        forbidden = ForbiddenWords.load_if_named(application.settings.forbid_file)
        folder = _folder(request, application.folder)
        rules = Rules(folder, application.wording, tell)
        rules.check(request.orders)
        ledger = application.ledger()
        identity = folder_id(folder.state, ledger.id, time.sleep)
        line = Line(application, ledger, target, ROLE, stack)
        house = house_on(line, application, ledger, target, stack, funds=request.funds, forbidden=forbidden)
        worker = worker_on(line, application, ledger, target, stack)
        remote = request.poll or is_remote(folder.root)
        settle = request.settle
        if settle is None:
            settle = REMOTE_SETTLE_SECONDS if remote else SETTLE_SECONDS
        alive = stack.enter_context(swept(worker, tell_waits))
        patience = application.settings.quiet_seconds + DOUBT_SECONDS
        post = Post(house, folder, identity, settle, patience, application.settings.zone, alive)
        rest = Rest(house, folder, application.wording, tell)
        service = FolderService(post, request.orders, rest, rules, tell)
        turn = stack.enter_context(Turn(ledger.leader(f"watch {identity}")).sought())
        places = (folder.root, *(folder[place] for place in (Place.WAITING, Place.APPROVED, Place.REJECTED)))
        bell = stack.enter_context(Bell(places, listens=not remote).hung())
        tell("started", folder=str(folder.root), gateway=target.name)
        yield lambda: service.serve(turn, bell)


def _folder(request: WatchRequest, ledger_folder: Path) -> WatchedFolder:
    root = request.folder.resolve()
    if ledger_folder == root:
        # its files would be taken for campaigns
        raise UsageError("watch_ledger_inside", found=str(root))
    approved = None if request.approved is None else request.approved.resolve()
    folder = WatchedFolder(root, approved)
    folder.prepare()
    return folder
