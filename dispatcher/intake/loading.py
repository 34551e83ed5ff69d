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
from decimal import Decimal
from hashlib import blake2b, file_digest
from pathlib import Path

from dispatcher.campaign.plan import PlanChunk, Planner
from dispatcher.campaign.prices import PriceBook
from dispatcher.campaign.segments import Encoding
from dispatcher.errors import FileError
from dispatcher.intake.planning import PlanRequest
from dispatcher.ledger import Ledger, NewCampaign, RowState, Totals, to_micros

ENCODINGS = {Encoding.GSM7: 1, Encoding.UCS2: 2}
CEILING_PER_PART = Decimal(
    1
)  # EUR; what an unknown worldwide price counts against a cap: the provider's own minimum credit
ROWS_A_TRANSACTION = 2_000
PHONE_KEPT = 40


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
        raise FileError("sheet_unreadable", file=str(request.file), found=type(error).__name__) from error
    decisions = {
        "sheet": request.sheet,
        "encoding": request.encoding,
        "locale": request.locale,
        "options": asdict(request.options),
    }
    text = json.dumps(decisions, sort_keys=True, default=str)
    return FileIdentity(digest, blake2b(text.encode(), digest_size=16).hexdigest())


def keep_input(file: Path, folder: Path, identity: FileIdentity) -> Path:
    """Copy the file's bytes into ``folder`` (readable by its owner only) under their digest; gives the copy's path."""
    kept = folder / f"{identity.sha256}{file.suffix.lower()}"
    if kept.exists():
        return kept
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as copy, file.open("rb") as source:
        shutil.copyfileobj(source, copy)
        copy.flush()
        os.fsync(copy.fileno())
    Path(copy.name).replace(kept)
    return kept


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


def load_campaign(
    ledger: Ledger, planner: Planner, load: LoadRequest, *, now: datetime, progress: Callable[[int], None]
) -> int:
    """Write the whole plan into the ledger; gives the campaign's id.

    ``progress`` hears the number of rows written so far.  A load that does not reach its end leaves a campaign in
    ``loading``, which is discarded and done again.
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
        ),
        now=now,
    )
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
            estimated_cost=bill.estimated_cost,
            unpriced_rows=bill.unpriced_rows,
        ),
        now=now,
    )
    return campaign_id


def row_tuples(chunk: PlanChunk, book: PriceBook) -> list[tuple[object, ...]]:
    """The chunk's rows in the order of the ledger's ROW_COLUMNS."""
    return [
        (
            int(chunk.rows[i]),
            int(RowState[chunk.status[i].name]),
            None if chunk.reason[i] is None else str(chunk.reason[i]),
            chunk.recipient[i],
            chunk.country[i],
            None if chunk.route[i] is None else str(chunk.route[i]),
            chunk.sender[i],
            chunk.text[i],
            ENCODINGS.get(chunk.encoding[i]),
            int(chunk.parts[i]),
            None if chunk.cost[i] is None else to_micros(chunk.cost[i]),
            to_micros(_reserve(chunk, i, book)),
            chunk.guard_key[i],
            int(chunk.repairs[i]),
            chunk.phone[i][:PHONE_KEPT],
            None,
        )
        for i in range(len(chunk.rows))
    ]


def _reserve(chunk: PlanChunk, i: int, book: PriceBook) -> Decimal:
    """What a row counts against the cap until its real price is known."""
    if chunk.cost[i] is not None:
        cost: Decimal = chunk.cost[i]
        return cost
    if chunk.route[i] is None or chunk.country[i] is None:
        return Decimal(0)
    ceiling = book.ceiling(str(chunk.route[i]), chunk.country[i])
    return (CEILING_PER_PART if ceiling is None else ceiling) * int(chunk.parts[i])
