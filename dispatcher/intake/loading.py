"""From a plan to a campaign in the ledger: every row with its final text, before anything is sent.

The input's bytes are kept beside the ledger, so that the report can be written from exactly what was read.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from hashlib import blake2b, file_digest
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from dispatcher.campaign.coded import Coded
from dispatcher.campaign.plan import Objects, PlanChunk, Planner
from dispatcher.campaign.price_book import UNKNOWN_CEILING
from dispatcher.campaign.prices import PriceBook
from dispatcher.campaign.reasons import PlanStatus
from dispatcher.campaign.timing.options import TimingOptions
from dispatcher.errors import FileError
from dispatcher.intake.planning import PlanRequest
from dispatcher.ledger import (
    ENCODING_NUMBERS,
    Ledger,
    NewCampaign,
    Priority,
    RowState,
    Totals,
    to_instant,
    to_micros,
)
from dispatcher.ledger.values import rounded
from dispatcher.private import private_folder

ROWS_A_TRANSACTION = 2_000
PHONE_KEPT = 40
_STATES = {status: int(RowState[status.name]) for status in PlanStatus}
_MICRO = Decimal("0.000001")


@dataclass(frozen=True)
class FileIdentity:
    """By what a file is recognised: its bytes, and the decisions that change what is sent."""

    sha256: str
    fingerprint: str


def identify(request: PlanRequest) -> FileIdentity:
    """The identity of the file as planned by ``request``; its name does not matter."""
    try:
        with request.file.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError("sheet_not_readable", file=str(request.file), found=type(error).__name__) from error
    options = asdict(request.options)
    timing = request.options.timing
    if timing is None or timing == TimingOptions(
        timing.zone, holidays=timing.holidays
    ):  # as it was before there were times
        del options["timing"]
    decisions = {
        "sheet": request.sheet,
        "encoding": request.encoding,
        "locale": request.locale,
        "options": options,
    }
    text = json.dumps(decisions, sort_keys=True, default=str)
    return FileIdentity(digest, blake2b(text.encode(), digest_size=16).hexdigest())


def keep_input(file: Path, folder: Path, identity: FileIdentity) -> Path:
    """Copy the file's bytes into ``folder`` (readable by its owner only) under their digest; gives the copy's path.

    Raises FileError ``sheet_changed`` when they are no longer those of ``identity``.
    """
    kept = folder / f"{identity.sha256}{file.suffix.lower()}"
    if kept.exists():
        return kept
    private_folder(folder)
    made = _copied(file, folder)
    try:
        with made.open("rb") as written:
            if file_digest(written, "sha256").hexdigest() != identity.sha256:
                raise FileError("sheet_changed", file=str(file))
        made.replace(kept)
    finally:
        made.unlink(missing_ok=True)
    return kept


def _copied(file: Path, folder: Path) -> Path:
    try:
        with file.open("rb") as source, tempfile.NamedTemporaryFile(dir=folder, delete=False) as copy:
            shutil.copyfileobj(source, copy)
            copy.flush()
            os.fsync(copy.fileno())
    except OSError as error:
        raise FileError("sheet_not_readable", file=str(file), found=type(error).__name__) from error
    return Path(copy.name)


@dataclass(frozen=True)
class LoadRequest:
    """Everything about a new campaign that is not in its rows."""

    request: PlanRequest
    identity: FileIdentity
    gateway: str
    owner: str
    inputs: Path
    book: PriceBook
    max_cost: Decimal | None
    decisions: dict[str, object]
    priority: Priority = Priority.NORMAL


def nobody(campaign_id: int) -> None:
    """Does not have to hear of a new campaign."""


def load_campaign(
    ledger: Ledger,
    planner: Planner,
    load: LoadRequest,
    *,
    now: datetime,
    progress: Callable[[int], None],
    begun: Callable[[int], None] = nobody,
) -> int:
    """Write the whole plan into the ledger; gives the campaign's id.

    ``begun`` hears that id before the first row is written, ``progress`` the number of rows written so far.  A load
    that does not reach its end leaves a campaign in ``loading``, which is discarded and done again.
    """
    sheet = planner.sheet
    kept = keep_input(load.request.file, load.inputs, load.identity)
    campaign_id = ledger.loading.create_campaign(
        NewCampaign(
            name=load.request.file.stem,
            file_name=load.request.file.name,
            file_sha256=load.identity.sha256,
            gateway=load.gateway,
            fingerprint=load.identity.fingerprint,
            owner=load.owner,
            input_path=str(kept),
            sheet=sheet.name,
            source={
                "kind": str(sheet.kind),
                "heading_row": sheet.heading_row,
                "delimiter": sheet.delimiter,
                "encoding": sheet.encoding,
                "path": str(load.request.file.resolve()),
            },
            options=load.decisions,
            max_cost=load.max_cost,
            currency=load.book.currency,
            priority=load.priority,
        ),
        now=now,
    )
    keep_input(load.request.file, load.inputs, load.identity)  # a purge may have taken it before it was ours
    begun(campaign_id)
    rows = 0
    for chunk in planner.chunks():
        batch = row_tuples(chunk, load.book)
        for start in range(0, len(batch), ROWS_A_TRANSACTION):
            part = batch[start : start + ROWS_A_TRANSACTION]
            ledger.loading.load_rows(campaign_id, part)
            rows += len(part)
            progress(rows)
    bill = planner.bill()
    ledger.loading.finish_loading(
        campaign_id,
        Totals(
            rows=planner.summary.rows,
            parts=planner.summary.parts,
            estimated_cost=rounded(bill.estimated_cost),
            unpriced_rows=bill.unpriced_rows,
        ),
        now=now,
    )
    ledger.forecasts.tell_bundles(
        campaign_id, {name: route.bundle_parts for name, route in bill.routes.items()}, now
    )
    return campaign_id


def row_tuples(chunk: PlanChunk, book: PriceBook) -> list[tuple[object, ...]]:
    """The chunk's rows in the order of the ledger's ROW_COLUMNS and ROW_EXTRAS."""
    # column by column: a million rows pass here, and a look into an array costs more than all the rest
    columns = (
        chunk.rows.tolist(),
        chunk.status.mapped(_STATES.__getitem__).tolist(),
        _texts(chunk.reason),
        chunk.recipient.tolist(),
        chunk.country.tolist(),
        _texts(chunk.route),
        chunk.sender.tolist(),
        _strings(chunk.text),
        chunk.encoding.mapped(ENCODING_NUMBERS.get).tolist(),
        chunk.parts.tolist(),
        _estimates(chunk.cost),
        _reserves(chunk, book),
        chunk.guard_key.tolist(),
        chunk.repairs.tolist(),
        _strings(pc.utf8_slice_codeunits(chunk.phone, 0, PHONE_KEPT)),
        _instants(chunk, None if chunk.times is None else chunk.times.at),
        _details(chunk),
        _instants(chunk, None if chunk.times is None else chunk.times.until),
    )
    return list(zip(*columns, strict=True))


def _instants(chunk: PlanChunk, moments: Objects | None) -> list[int | None]:
    if moments is None:
        return [None] * len(chunk.rows)
    return [None if moment is None else to_instant(moment) for moment in moments.tolist()]


def _details(chunk: PlanChunk) -> list[str | None]:
    return [
        place if place is not None else (heading if status is PlanStatus.INVALID else None)
        for place, heading, status in zip(
            chunk.sent_before.tolist(), chunk.detail.tolist(), chunk.status.tolist(), strict=True
        )
    ]


def _strings(texts: pa.Array) -> list[str | None]:
    found: list[str | None] = texts.to_numpy(
        zero_copy_only=False
    ).tolist()  # twice as fast as Arrow's own tolist
    return found


def _texts(codes: Coded) -> list[str | None]:
    """As plain strings."""
    return codes.mapped(lambda code: None if code is None else str(code)).tolist()


def _estimates(costs: Coded) -> list[int | None]:
    """As the ledger stores them: price books have more decimals than money has in the ledger."""
    return costs.mapped(lambda cost: None if cost is None else to_micros(rounded(cost))).tolist()


def _reserves(chunk: PlanChunk, book: PriceBook) -> list[int]:
    """What each row counts against the cap until its real price is known; 0 for a row that is not sent."""
    known: dict[tuple[object, ...], int] = {}
    reserves = []
    asked = (chunk.status, chunk.route, chunk.country, chunk.parts, chunk.cost)
    for status, *key in zip(*(column.tolist() for column in asked), strict=True):
        if status is not PlanStatus.READY:
            reserves.append(0)
            continue
        row = tuple(key)
        if row not in known:
            known[row] = to_micros(_reserve(book, *row).quantize(_MICRO, rounding=ROUND_CEILING))
        reserves.append(known[row])
    return reserves


def _reserve(book: PriceBook, route: str, country: str, parts: int, cost: Decimal | None) -> Decimal:
    ceiling = book.ceiling(route, country)
    if cost is None:
        return (UNKNOWN_CEILING if ceiling is None else ceiling) * parts
    price = book.price(route, country)
    if ceiling is None or not price:
        return cost
    return cost / price * ceiling  # the parts that no bundle pays, at the most they may cost
