"""This process in the register of its ledger: as an owner of claims, and for how long it lives."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from dispatcher.errors import DispatcherError
from dispatcher.ledger import Ledger
from dispatcher.logs import owned_by
from dispatcher.sending.owners import OwnerLock, Owners

if TYPE_CHECKING:
    from dispatcher.application import Application

BEAT_SECONDS = 5.0
log = logging.getLogger(__name__)


class Presence:
    """Registered while :func:`present`'s block lasts, and alive for as long as its lock is held."""

    def __init__(
        self, application: Application, ledger: Ledger, lock: OwnerLock, role: str, gateway: str
    ) -> None:
        self._application = application
        self._ledger = ledger
        self._lock = lock
        self._role = role
        self._gateway = gateway
        silence = timedelta(seconds=application.settings.quiet_seconds)
        self.owners = Owners(ledger, application.folder / "owners", silence)

    @property
    def owner(self) -> str:
        """By which its claims are known."""
        return self._lock.id

    def register(self) -> None:
        """Write it down, with this moment as a sign of life."""
        self._ledger.processes.register(
            self.owner,
            pid=os.getpid(),
            host=self.owners.place,
            role=self._role,
            lock_path=str(self._lock.path),
            now=self._application.now(),
            gateway=self._gateway,
        )

    def forget(self) -> None:
        """It ended in order."""
        with suppress(DispatcherError):  # a lock that is gone, or silence, says the same later
            self._ledger.processes.forget(self.owner)

    def is_alone(self) -> bool:
        """Whether nobody is registered that may still be at work on this ledger."""
        now = self._application.now()
        # who receives callbacks sends nothing: it has no part in what senders must agree on
        processes = [process for process in self._ledger.processes.all() if process.role != "serve"]
        others = [process.owner for process in processes if process.owner != self.owner]
        return all(self.owners.is_gone(each) or self.owners.is_silent(each, now) for each in others)

    @contextmanager
    def beating(self, also: Callable[[], None]) -> Iterator[None]:
        """Signs of life while the block lasts, since other machines cannot see the lock; ``also`` comes with each."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(BEAT_SECONDS):
                try:
                    if not self._ledger.processes.seen(self.owner, self._application.now()):
                        self.register()  # somebody took it for dead
                    also()
                except Exception as error:  # noqa: BLE001 - a thread that ended would make a living process silent
                    log.warning("no_sign_of_life", extra={"error": type(error).__name__})

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(timeout=BEAT_SECONDS)


@contextmanager
def present(application: Application, ledger: Ledger, role: str, gateway: str) -> Iterator[Presence]:
    """To be registered by whoever asks, once it may work; ``role``: what it does: run, worker, ..."""
    with OwnerLock(application.folder / "owners") as lock, owned_by(lock.id):
        presence = Presence(application, ledger, lock, role, gateway)
        try:
            yield presence
        finally:
            presence.forget()
