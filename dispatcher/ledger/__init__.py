"""What happened: states, schema, every write as a guarded transition, every read, and the pace in SQL."""

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
    Priority,
    Refused,
    Resolution,
    Settled,
    Settlement,
    Totals,
)
from dispatcher.ledger.screenings import DistinctText, Screening
from dispatcher.ledger.settling import CLAIM_EXPIRED
from dispatcher.ledger.states import CampaignState, RowState
from dispatcher.ledger.values import ENCODING_NAMES, ENCODING_NUMBERS, from_micros, to_instant, to_micros

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
