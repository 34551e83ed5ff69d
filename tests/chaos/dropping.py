"""Files of mixed quality dropped into a watched folder, whose watcher is killed again and again meanwhile.

Afterwards each file lies in exactly one folder, the one that fits it; each row was sent once at most, and each good one
was sent; no traceback reached anybody.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from openpyxl import Workbook

from dispatcher.gateway.simulator import SimulatorConfig
from dispatcher.watch.names import plain_name
from tests.chaos.harness import (
    CLEAN_EXITS,
    HASTE,
    PYTHON_FAILED,
    RUNNER,
    TRACEBACK,
    Account,
    Battlefield,
    battlefield,
    end,
    exit_event,
)
from tests.chaos.scenarios import Size

WATCH = (*RUNNER[:-1], "watch")
ROWS_A_FILE = 20
LEFT_ALONE = ("~$lock.xlsx", "half.xlsx.part", "empty.csv", ".hidden.csv")
GRACE = 300.0
BEGUN = '"event": "started"'
Row = tuple[str, str]


@dataclass(frozen=True)
class Dropped:
    """A file, how it gets into the folder, where it may come to rest, and which rows have to be sent because of it."""

    name: str
    content: bytes
    places: frozenset[str]
    rows: tuple[Row, ...] = ()
    slowly: bool = False


def _csv(rows: Sequence[Row], encoding: str = "utf-8") -> bytes:
    return ("phone;text\r\n" + "".join(f'{number};"{text}"\r\n' for number, text in rows)).encode(encoding)


def _workbook(rows: Sequence[Row]) -> bytes:
    book, packed = Workbook(), BytesIO()
    assert book.active is not None
    for row in [("phone", "text"), *rows]:
        book.active.append(row)
    book.save(packed)
    return packed.getvalue()


def _rows(n: int) -> list[Row]:
    """Plainly fictional numbers; a few texts a file."""
    return [(f"+39312{n * ROWS_A_FILE + i:07d}", f"File {n}: perché no {i % 3}?") for i in range(ROWS_A_FILE)]


def _good(n: int, content: bytes, name: str, *, slowly: bool = False) -> Dropped:
    return Dropped(f"{n:03d} {name}", content, frozenset({"done"}), tuple(_rows(n)), slowly)


def _bad(n: int, content: bytes, name: str) -> Dropped:
    return Dropped(f"{n:03d} {name}", content, frozenset({"failed"}))


KINDS: Sequence[Callable[[int], Dropped]] = (
    lambda n: _good(n, _csv(_rows(n)), "list.csv"),
    lambda n: _good(n, _workbook(_rows(n)), "workbook.xlsx"),
    lambda n: _good(n, _csv(_rows(n), "cp1252"), "Città (2) però.csv"),
    lambda n: _good(n, _csv([*_rows(n), ("12", "too short")]), "one bad row.csv"),
    lambda n: _good(n, _csv(_rows(n)), "slow.csv", slowly=True),
    lambda n: _good(n, _workbook(_rows(n)), "slow.xlsx", slowly=True),
    lambda n: _bad(n, b"%PDF-1.7 scan", "scan.pdf"),
    lambda n: _bad(n, _workbook(_rows(n))[:-40], "broken off.xlsx"),
    lambda n: _bad(n, _csv([]), "no rows.csv"),
    lambda n: _bad(n, b"name,colour\nAda,red\nBob,blue\n", "no numbers.csv"),
    # the same content as the first file: either that one is under way, or it is done
    lambda n: Dropped(f"{n:03d} copy.csv", _csv(_rows(0)), frozenset({"done", "failed"})),
)


def mixture(count: int, rng: random.Random) -> list[Dropped]:
    """So many files; the first is good, and every kind comes about equally often."""
    first, *others = [KINDS[n % len(KINDS)](n) for n in range(count)]
    rng.shuffle(others)
    return [first, *others]


def watched_folder(folder: Path, size: Size, *, seconds: float | None = None) -> Account:
    """``size.rows`` in files of :data:`ROWS_A_FILE`, dropped over ``seconds`` (a third of one a file), and a watcher
    that is killed ``size.disturbances`` times.
    """
    rng = random.Random(f"{size.seed}/watch")
    files = mixture(max(len(KINDS), size.rows // ROWS_A_FILE), rng)
    seconds = len(files) * 0.3 if seconds is None else seconds
    config = SimulatorConfig(
        state=folder / "gateway.db", requests_per_minute=None, lists_dry_runs=True, seed=size.seed
    )
    with battlefield(folder, config, rate_per_minute=size.limit, settings=HASTE) as field:
        watched = folder / "in"
        watched.mkdir()
        for name in LEFT_ALONE:
            (watched / name).write_bytes(b"" if name == "empty.csv" else _csv(_rows(999)))
        account = _besiege(field, watched, files, rng, size.disturbances, seconds)
        return _settle(field, watched, files, account)


def _besiege(
    field: Battlefield,
    watched: Path,
    files: Sequence[Dropped],
    rng: random.Random,
    kills: int,
    seconds: float,
) -> Account:
    account, began = Account(), time.monotonic()
    drops = [(began + seconds * i / len(files), file) for i, file in enumerate(files)]
    ends: list[tuple[float, Path, bytes]] = []
    process, death = _start(field, watched), None
    try:
        while drops or ends or account.kills < kills:
            now = time.monotonic()
            while drops and drops[0][0] <= now:
                _, file = drops.pop(0)
                ends += _drop(watched, file, now)
            while ends and ends[0][0] <= now:
                _, path, rest = ends.pop(0)
                _add(watched, path, rest)
            # however long it takes to begin: one that is killed before has nothing under way
            if death is None and account.kills < kills and _said(field).count(BEGUN) > account.restarts:
                death = now + rng.uniform(0.1, 1.5 * seconds / kills)
            if death is not None and death <= now:
                end(process)
                account.kills += 1
                process, death = _start(field, watched), None
                account.restarts += 1
            assert process.poll() is None, (
                f"the watcher ended with {process.returncode}: {_said(field)[-2_000:]}"
            )
            time.sleep(0.02)
        _wait(field, watched, files, process)
    finally:
        process.terminate()
        code = process.wait(timeout=60)
    account.events[exit_event(code)] += 1
    assert code in CLEAN_EXITS, _said(field)[-2_000:]
    account.seconds = round(time.monotonic() - began, 1)
    return account


def _start(field: Battlefield, watched: Path) -> subprocess.Popen[bytes]:
    return field.launch([*WATCH, str(watched), "--settle", "1", "--json"], "watch")


def _drop(watched: Path, file: Dropped, now: float) -> list[tuple[float, Path, bytes]]:
    """Write it; what is written slowly goes on in small steps, each sooner than a file settles."""
    path = watched / file.name
    if not file.slowly:
        draft = watched / f".{file.name}"
        draft.write_bytes(file.content)
        draft.rename(path)
        return []
    # each time it stops within a quote, so that a machine that is busy for seconds does not make it look whole
    third = len(file.content) // 3
    first, second = (
        file.content.find(b';"', third * n) + 2 if b';"' in file.content else third * n for n in (1, 2)
    )
    path.write_bytes(file.content[:first])
    parts = [file.content[first:second], file.content[second:]]
    return [(now + 0.4 * (i + 1), path, part) for i, part in enumerate(parts)]


def _add(watched: Path, path: Path, content: bytes) -> None:
    """As a program does that has the file open: it goes on in the file, wherever that is now."""
    found = [path, *watched.glob(f"*/* {path.name}")]
    with next(each for each in found if each.exists()).open("ab") as file:
        file.write(content)


def places(watched: Path) -> dict[str, list[str]]:
    """For each name that was dropped: the folders in which a file of that name lies."""
    found: dict[str, list[str]] = {}
    for place in ("", "processing", "done", "failed", "waiting", "approved", "rejected"):
        for entry in (watched / place).iterdir():
            if entry.is_file():
                found.setdefault(plain_name(entry.name), []).append(place)
    return found


def _wait(
    field: Battlefield, watched: Path, files: Sequence[Dropped], process: subprocess.Popen[bytes]
) -> None:
    deadline = time.monotonic() + GRACE
    while True:
        found = places(watched)
        open_ = [
            file.name for file in files if not set(found.get(file.name, [])) <= {"done", "failed", "waiting"}
        ]
        if not open_:
            return
        assert process.poll() is None, _said(field)[-2_000:]
        assert time.monotonic() < deadline, f"not at rest: {open_}: {_said(field)[-3_000:]}"
        time.sleep(0.2)


def _settle(field: Battlefield, watched: Path, files: Sequence[Dropped], account: Account) -> Account:
    found = places(watched)
    for file in files:
        where = found.get(file.name, [])
        account.states[where[0] if len(where) == 1 else "lost or doubled"] += 1
        assert len(where) == 1, (file.name, where)
        assert where[0] in file.places, (file.name, where, _said(field)[-3_000:])
    assert {name for name in LEFT_ALONE if (watched / name).exists()} == set(LEFT_ALONE)
    wanted = {row for file in files for row in file.rows}
    sent: Counter[Row] = Counter(
        (one.recipient, one.message) for one in field.simulator.simulator.received() if one.accepted
    )
    account.rows = len(wanted)
    account.at_gateway = account.accepted = sent.total()
    account.twice = sum(n - 1 for n in sent.values())
    account.lost = len(wanted - sent.keys())
    account.unexpected = len(sent.keys() - wanted)
    account.busiest = field.simulator.simulator.busiest(60)
    account.events[TRACEBACK] += _said(field).count(PYTHON_FAILED)
    account.events["bugs"] += _said(field).count("watch_bug")
    account.events["files"] = len(files)
    account.events += Counter()
    return account


def _said(field: Battlefield) -> str:
    return (field.folder / "watch.log").read_text(encoding="utf-8", errors="replace")
