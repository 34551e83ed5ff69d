"""What happened: states, schema, every write as a guarded transition, every read, and the pace in SQL.

What a name stands for is imported when it is first asked for: a command that only needs a record or a state does
not pay for SQLAlchemy.
"""

from typing import TYPE_CHECKING

from dispatcher.lazily import lazily

if TYPE_CHECKING:
    from dispatcher.ledger.codes import CodeLimit, CodeLimits, TooManyCodes
    from dispatcher.ledger.deliveries import Recorded
    from dispatcher.ledger.halts import Stop
    from dispatcher.ledger.journal import Event
    from dispatcher.ledger.learnt import Learnt
    from dispatcher.ledger.ledger import Ledger
    from dispatcher.ledger.optouts import OptOut
    from dispatcher.ledger.pace import Reservation, SqlitePace
    from dispatcher.ledger.processes import Process
    from dispatcher.ledger.queries import DoubtfulRow, Progress, Remaining, ReportRow
    from dispatcher.ledger.records import (
        ROW_COLUMNS,
        Absent,
        Accepted,
        CampaignView,
        Claim,
        ClaimedRow,
        ClaimRequest,
        Decided,
        DeliveryReport,
        Found,
        InDoubt,
        NewCampaign,
        NotSent,
        Refused,
        Resolution,
        Settled,
        Settlement,
        Totals,
    )
    from dispatcher.ledger.screenings import DistinctText, Screening
    from dispatcher.ledger.settling import CLAIM_EXPIRED
    from dispatcher.ledger.states import CampaignState, Priority, RowState
    from dispatcher.ledger.values import ENCODING_NAMES, ENCODING_NUMBERS, from_micros, to_instant, to_micros

__getattr__ = lazily(
    __name__,
    {
        "CLAIM_EXPIRED": "settling",
        "ENCODING_NAMES": "values",
        "ENCODING_NUMBERS": "values",
        "ROW_COLUMNS": "records",
        "Absent": "records",
        "Accepted": "records",
        "CampaignState": "states",
        "CampaignView": "records",
        "Claim": "records",
        "ClaimRequest": "records",
        "ClaimedRow": "records",
        "CodeLimit": "codes",
        "CodeLimits": "codes",
        "Decided": "records",
        "DeliveryReport": "records",
        "DistinctText": "screenings",
        "DoubtfulRow": "queries",
        "Event": "journal",
        "Found": "records",
        "InDoubt": "records",
        "Learnt": "learnt",
        "Ledger": "ledger",
        "NewCampaign": "records",
        "NotSent": "records",
        "OptOut": "optouts",
        "Priority": "states",
        "Process": "processes",
        "Progress": "queries",
        "Recorded": "deliveries",
        "Refused": "records",
        "Remaining": "queries",
        "ReportRow": "queries",
        "Reservation": "pace",
        "Resolution": "records",
        "RowState": "states",
        "Screening": "screenings",
        "Settled": "records",
        "Settlement": "records",
        "SqlitePace": "pace",
        "Stop": "halts",
        "TooManyCodes": "codes",
        "Totals": "records",
        "from_micros": "values",
        "to_instant": "values",
        "to_micros": "values",
    },
)

__all__ = [
    "CLAIM_EXPIRED",
    "ENCODING_NAMES",
    "ENCODING_NUMBERS",
    "ROW_COLUMNS",
    "Absent",
    "Accepted",
    "CampaignState",
    "CampaignView",
    "Claim",
    "ClaimRequest",
    "ClaimedRow",
    "CodeLimit",
    "CodeLimits",
    "Decided",
    "DeliveryReport",
    "DistinctText",
    "DoubtfulRow",
    "Event",
    "Found",
    "InDoubt",
    "Learnt",
    "Ledger",
    "NewCampaign",
    "NotSent",
    "OptOut",
    "Priority",
    "Process",
    "Progress",
    "Recorded",
    "Refused",
    "Remaining",
    "ReportRow",
    "Reservation",
    "Resolution",
    "RowState",
    "Screening",
    "Settled",
    "Settlement",
    "SqlitePace",
    "Stop",
    "TooManyCodes",
    "Totals",
    "from_micros",
    "to_instant",
    "to_micros",
]
