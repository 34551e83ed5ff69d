"""The ledger: open it, then use its parts.

Everything here blocks: call it from one writer thread, not from an event loop.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sqlalchemy import select

from dispatcher.errors import Unreachable
from dispatcher.ledger.agreement import Agreement
from dispatcher.ledger.awaiting import Awaiting
from dispatcher.ledger.bills import Bills
from dispatcher.ledger.campaigns import Campaigns
from dispatcher.ledger.canaries import Canaries
from dispatcher.ledger.codes import Codes
from dispatcher.ledger.compacting import Compacting
from dispatcher.ledger.database import BUSY_SECONDS, Database, create_file, file_of, parse_url
from dispatcher.ledger.deliveries import Deliveries
from dispatcher.ledger.dry_runs import DryRuns
from dispatcher.ledger.forecasts import Forecasts
from dispatcher.ledger.halts import Halts
from dispatcher.ledger.inbox import Inbox
from dispatcher.ledger.journal import Events
from dispatcher.ledger.learnt import LearntPrices
from dispatcher.ledger.loading import Loading
from dispatcher.ledger.memory import Memory
from dispatcher.ledger.migrations import migrate, version_of
from dispatcher.ledger.optouts import OptOuts
from dispatcher.ledger.own_tokens import OwnTokens
from dispatcher.ledger.processes import Processes
from dispatcher.ledger.purging import Purging
from dispatcher.ledger.queries import Queries
from dispatcher.ledger.report_pages import ReportPages
from dispatcher.ledger.rows import Rows
from dispatcher.ledger.schedules import Schedules
from dispatcher.ledger.schema import meta
from dispatcher.ledger.screenings import Screenings
from dispatcher.ledger.traffic import Traffic
from dispatcher.ledger.unsent import Unsent
from dispatcher.ledger.versions import Versions
from dispatcher.ledger.watched import Watched

if TYPE_CHECKING:
    from dispatcher.ledger.leader import Leader


class Ledger:
    """What happened to every campaign.

    ``id`` is 8 hex digits, random per ledger; ``url`` has no password.  Errors: :class:`Unreachable` when the
    database cannot be used (locked, damaged, full, read-only, gone), :class:`UsageError` when a request makes
    no sense.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.url = database.url.render_as_string(hide_password=True)
        self.path = database.path  # None for a server
        with database.read() as connection:
            self.id = str(connection.execute(select(meta.c.value).where(meta.c.key == "id")).scalar_one())
        self.loading = Loading(database)
        self.campaigns = Campaigns(database)
        self.rows = Rows(database)
        self.deliveries = Deliveries(database)
        self.inbox = Inbox(database)
        self.learnt = LearntPrices(database)
        self.awaiting = Awaiting(database)
        self.canaries = Canaries(database)
        self.screenings = Screenings(database)
        self.dry_runs = DryRuns(database)
        self.opt_outs = OptOuts(database)
        self.codes = Codes(database)
        self.halts = Halts(database)
        self.processes = Processes(database)
        self.schedules = Schedules(database)
        self.events = Events(database)
        self.memory = Memory(database)
        self.purging = Purging(database)
        self.compacting = Compacting(database)
        self.queries = Queries(database)
        self.report_pages = ReportPages(database)
        self.bills = Bills(database)
        self.forecasts = Forecasts(database)
        self.watched = Watched(database)
        self.versions = Versions(database)
        self.traffic = Traffic(database)
        self.unsent = Unsent(database)
        self.own_tokens = OwnTokens(database)

    @classmethod
    def open(cls, url: str, *, create: bool = False, busy_seconds: float = BUSY_SECONDS) -> Self:
        """Open, migrating an older schema; ``create`` makes a ledger where there is none.

        Unreachable(``ledger_missing``) when there is none and ``create`` is false.
        """
        if create:
            path = file_of(parse_url(url))
            if path is not None:
                create_file(path)
        opened = cls._open(url, busy_seconds, create)
        if opened is None:
            raise Unreachable("ledger_missing", file=parse_url(url).render_as_string(hide_password=True))
        return opened

    @classmethod
    def open_existing(cls, url: str, *, busy_seconds: float = BUSY_SECONDS) -> Self | None:
        """Open a ledger that is there; None when there is none.  Never creates one."""
        return cls._open(url, busy_seconds, create=False)

    @classmethod
    def _open(cls, url: str, busy_seconds: float, create: bool) -> Self | None:
        database = Database(parse_url(url), busy_seconds=busy_seconds)
        if not create and database.path is not None and not _has_content(database.path):
            return None
        try:
            if not create:
                with database.read() as connection:
                    if version_of(connection, database.place) == 0:
                        database.dispose()
                        return None
            migrate(database, secrets.token_hex(4))
            return cls(database)
        except BaseException:
            database.dispose()
            raise

    def leader(self, work: str) -> Leader:
        """The lead of ``work`` among the processes of this ledger, not taken yet."""
        from dispatcher.ledger.leader import Leader

        return Leader(self._database, work)

    def agreement(self, name: str) -> Agreement:
        """A value that all processes of this ledger must share."""
        return Agreement(self._database, name)

    def check(self) -> None:
        """Whether it can be read in whole, and written; seconds for millions of rows.  Errors: Unreachable."""
        self._database.check()

    def now(self, now: datetime) -> datetime:
        """The time by the ledger's clock: a server's own, by which its claims are dated, else ``now``."""
        if self.path is not None:
            return now
        with self._database.read() as connection:
            return now + self._database.ahead(connection, now)

    def dispose(self) -> None:
        """Close every connection."""
        self._database.dispose()


def _has_content(path: Path) -> bool:
    # looked at from outside: opening an empty file would already write to it
    try:
        return path.stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:  # there may well be one: "nothing was ever sent" would be a guess
        raise Unreachable("ledger_cannot_open", file=str(path), found=error.strerror) from error
