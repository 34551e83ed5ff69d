"""What goes into a plan and what comes out of it: the operator's options, and chunks of planned rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dispatcher.campaign.coded import Coded
from dispatcher.campaign.columns import ColumnOptions
from dispatcher.campaign.phones import Recipients
from dispatcher.campaign.repeated import GuardKeys
from dispatcher.campaign.routes import Route
from dispatcher.campaign.timing.options import TimingOptions
from dispatcher.campaign.timing.schedule import Times

Objects = npt.NDArray[Any]


@dataclass(frozen=True)
class PlanOptions:
    """What the operator decided about a campaign; defaults are the commands' defaults."""

    message: str | None = None
    sender: str | None = None
    columns: ColumnOptions = field(default_factory=ColumnOptions)
    default_region: str = "IT"
    route: Route | None = None
    gsm7: bool = False
    single_part: bool = False
    keep_duplicates: bool = False
    again: bool = False
    timing: TimingOptions | None = None


@dataclass(frozen=True)
class PlanChunk:
    """Some consecutive rows of the plan; every column has one entry per row.  ``phone`` and ``text`` are Arrow's; each
    of the others has ``tolist()``, and an entry by its position.

    ``status`` PlanStatus, ``reason`` Reason or None, ``detail`` the column a reason is about or None.
    ``recipient``, ``country``, ``route``, ``sender``, ``text``, ``encoding`` and ``guard_key`` are None where
    unknown; ``parts`` is 0 where there is no text.  ``cost`` is Decimal, or None for a row that is not sent or
    whose price nobody knows; ``phone`` is the cell as written; ``sent_before`` the place in the ledger of the row that
    proves what an earlier report says of this one, or None.  ``times``: None where every row goes out at once.
    """

    rows: npt.NDArray[np.int64]
    status: Coded
    reason: Coded
    detail: Coded
    phone: pa.Array
    recipient: Recipients
    country: Coded
    repairs: npt.NDArray[np.uint16]
    route: Coded
    sender: Coded
    text: pa.Array
    encoding: Coded
    parts: npt.NDArray[np.int32]
    guard_key: GuardKeys
    cost: Coded
    sent_before: Objects
    times: Times | None = None
