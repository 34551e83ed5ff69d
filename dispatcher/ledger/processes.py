"""Who is at work on this ledger: owners of claims, and the lock files that prove them dead."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from dispatcher.ledger.database import Database
from dispatcher.ledger.schema import processes

SENDERS = frozenset({"worker", "watch", "schedule"})
"""Roles of processes that send what is due, of any campaign of their gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process; ``role`` is run, worker, watch, schedule..., ``lock_path`` a file it holds locked while alive, and
    ``host`` the place where that path means this file; ``gateway`` the one it sends through.
    """

    owner: str
    pid: int
    host: str
    role: str
    lock_path: str | None
    started_at: datetime
    last_seen: datetime
    gateway: str | None = None

    def sends_through(self, gateway: str) -> bool:
        """Whether it sends for others through this gateway."""
        return self.role in SENDERS and self.gateway == gateway


class Processes:
    """The register of processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(
        self,
        owner: str,
        *,
        pid: int,
        host: str,
        role: str,
        lock_path: str | None,
        now: datetime,
        gateway: str | None = None,
    ) -> None:
        """A process starts; ``owner`` is new for every start."""
        with self._database.write() as connection:
            now += self._database.ahead(connection, now)
            process = Process(
                owner=owner,
                pid=pid,
                host=host,
                role=role,
                lock_path=lock_path,
                started_at=now,
                last_seen=now,
                gateway=gateway,
            )
            connection.execute(insert(processes).values(asdict(process)))

    def seen(self, owner: str, now: datetime) -> bool:
        """A sign of life; False when it is not (or no longer) registered."""
        with self._database.write() as connection:
            now += self._database.ahead(connection, now)
            statement = update(processes).where(processes.c.owner == owner).values(last_seen=now)
            return connection.execute(statement).rowcount == 1

    def forget(self, owner: str) -> None:
        """It ended and left nothing behind, or what it left has been dealt with."""
        with self._database.write() as connection:
            connection.execute(delete(processes).where(processes.c.owner == owner))

    def senders(self, gateway: str, within: timedelta, now: datetime) -> list[Process]:
        """Processes that send for others through the gateway and gave a sign of life lately."""
        with self._database.read() as connection:
            since = now + self._database.ahead(connection, now) - within
            of_gateway = (processes.c.role.in_(SENDERS), processes.c.gateway == gateway)
            return _found(connection, *of_gateway, processes.c.last_seen >= since)

    def find(self, owner: str) -> Process | None:
        """One of them; None when it is not (or no longer) registered."""
        with self._database.read() as connection:
            return next(iter(_found(connection, processes.c.owner == owner)), None)

    def all(self) -> list[Process]:
        """Every registered process, oldest first."""
        with self._database.read() as connection:
            return _found(connection)


def _found(connection: Connection, *where: ColumnElement[bool]) -> list[Process]:
    query = select(processes).where(*where).order_by(processes.c.started_at)
    return [Process(**each) for each in connection.execute(query).mappings()]
