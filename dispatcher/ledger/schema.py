"""The tables.  What the code promises, the database refuses to break: CHECKs per state, unique keys, legal
moves.

One schema for SQLite and PostgreSQL.  ``rows.due_at`` is never null (0 is "at once"), so that a claim is one
range of one index.  The guard's index and the message ids cover only rows that were or may have been sent:
they cost nothing while a million rows are loaded.  After a release, a ready row keeps the facts of its last
attempt: a late answer can then still be recognised by its token.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from dispatcher.ledger.conditions import ATTEMPTED, MAYBE, READY, in_states
from dispatcher.ledger.legal_moves import refuse_other_moves
from dispatcher.ledger.states import (
    CAMPAIGN_MOVES,
    FINAL_CAMPAIGNS,
    MAYBE_SENT,
    ROW_MOVES,
    SENT,
    CampaignState,
    RowState,
)
from dispatcher.ledger.values import Coded, Instant, Money

metadata = MetaData()


meta = Table("meta", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

gateways = Table(
    "gateways",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
)

campaigns = Table(
    "campaigns",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("file_sha256", Text, nullable=False),
    Column("input_path", Text),
    Column("sheet", Text),
    Column("source", JSON, nullable=False),
    Column("options", JSON, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("gateway_id", Integer, ForeignKey("gateways.id"), nullable=False),
    Column("account", Text),
    Column("owner", Text),
    Column("state", Coded(CampaignState), nullable=False),
    Column("state_reason", Text),
    Column("priority", SmallInteger, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("estimated_cost", Money),
    Column("unpriced_rows", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("max_cost", Money),
    Column("committed_cost", Money, nullable=False),
    Column("actual_cost", Money, nullable=False),
    Column("accepted_unpriced", Integer, nullable=False),
    Column("not_echoed", Integer, nullable=False),
    Column("report_path", Text),
    Column("report_sha256", Text),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("canary", Text, system=True),
    Column("purge_begun_at", Instant, system=True),
    Column("purged_at", Instant, system=True),
    Column("guarded_until", Instant, system=True),
    CheckConstraint(f"state BETWEEN {min(CampaignState)} AND {max(CampaignState)}", name="campaign_state"),
    CheckConstraint(
        "committed_cost >= 0 AND actual_cost >= 0 AND accepted_unpriced >= 0", name="campaign_money"
    ),
    CheckConstraint("max_cost IS NULL OR max_cost >= 0", name="campaign_max_cost"),
    Index(
        "one_open_campaign_per_file",
        "file_sha256",
        "fingerprint",
        "gateway_id",
        unique=True,
        sqlite_where=text(f"NOT ({in_states(FINAL_CAMPAIGNS)})"),
        postgresql_where=text(f"NOT ({in_states(FINAL_CAMPAIGNS)})"),
    ),
    # a number a person typed, or that is in a callback, must never come to mean another campaign
    sqlite_autoincrement=True,
)

campaign_counts = Table(
    "campaign_counts",
    metadata,
    Column("campaign_id", Integer, ForeignKey("campaigns.id"), primary_key=True),
    Column("state", Coded(RowState), primary_key=True),
    Column("n", Integer, nullable=False),
    Column("parts", Integer, nullable=False),
    CheckConstraint("n >= 0 AND parts >= 0", name="counts_not_negative"),
    sqlite_with_rowid=False,
)

_SENDABLE = frozenset({RowState.READY, RowState.REFUSED}) | MAYBE_SENT

rows = Table(
    "rows",
    metadata,
    Column("campaign_id", Integer, ForeignKey("campaigns.id"), primary_key=True, autoincrement=False),
    Column("row", Integer, primary_key=True, autoincrement=False),
    Column("state", Coded(RowState), nullable=False),
    Column("gateway_id", Integer, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("reason", Text),
    Column("recipient", Text),
    Column("country", Text),
    Column("route", Text),
    Column("sender", Text),
    Column("text", Text),
    Column("encoding", SmallInteger),
    Column("parts", SmallInteger),
    Column("estimated_cost", Money),
    Column("reserve_cost", Money),
    Column("guard_key", LargeBinary),
    Column("repairs", Integer, nullable=False),
    Column("phone", Text),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("attempt_token", Text),
    Column("claimed_by", Text),
    Column("attempt_started_at", Instant),
    Column("deadline", Instant),
    Column("in_doubt_at", Instant),
    Column("decided_at", Instant),
    Column("message_id", Text),
    Column("echoed", Boolean),
    Column("actual_cost", Money),
    Column("sent_at", Instant),
    Column("delivered_at", Instant),
    Column("error_code", Text),
    Column("error_detail", Text),
    # "system" keeps it out of version 1, which creates this table; version 4 adds it
    Column("useful_until", Instant, system=True),
    # version 6 adds these, as it adds two to campaigns
    Column("actual_parts", SmallInteger, system=True),
    Column("actual_encoding", SmallInteger, system=True),
    CheckConstraint(f"state BETWEEN {min(RowState)} AND {max(RowState)}", name="row_state"),
    CheckConstraint(
        # a CHECK that comes out as NULL passes, hence every IS NOT NULL
        f"NOT ({in_states(_SENDABLE)}) OR (recipient IS NOT NULL AND text IS NOT NULL AND route IS NOT NULL"
        " AND parts IS NOT NULL AND parts >= 1 AND reserve_cost IS NOT NULL AND reserve_cost >= 0"
        " AND guard_key IS NOT NULL AND length(guard_key) = 16)",
        name="row_sendable",
    ),
    CheckConstraint(
        f"NOT ({ATTEMPTED}) OR (attempt_token IS NOT NULL AND claimed_by IS NOT NULL"
        " AND attempt_started_at IS NOT NULL AND deadline IS NOT NULL AND message_id IS NULL)",
        name="row_attempted",
    ),
    CheckConstraint(f"(state = {int(RowState.IN_DOUBT)}) = (in_doubt_at IS NOT NULL)", name="row_in_doubt"),
    CheckConstraint(
        f"NOT ({in_states(SENT)}) OR ((message_id IS NOT NULL OR decided_at IS NOT NULL) AND sent_at IS NOT NULL)",
        name="row_sent",
    ),
    CheckConstraint(
        f"{in_states(SENT | {RowState.REFUSED})} OR (message_id IS NULL AND sent_at IS NULL"
        " AND actual_cost IS NULL)",
        name="row_not_sent",
    ),
    CheckConstraint("actual_cost IS NULL OR actual_cost >= 0", name="row_actual_cost"),
    Index(
        "rows_ready", "campaign_id", "due_at", "row", sqlite_where=text(READY), postgresql_where=text(READY)
    ),
    Index(
        "rows_unsettled",
        "campaign_id",
        "state",
        "deadline",
        sqlite_where=text(ATTEMPTED),
        postgresql_where=text(ATTEMPTED),
    ),
    Index("rows_guard", "guard_key", sqlite_where=text(MAYBE), postgresql_where=text(MAYBE)),
    Index(
        "one_row_per_message",
        "message_id",
        "gateway_id",
        unique=True,
        sqlite_where=text("message_id IS NOT NULL"),
        postgresql_where=text("message_id IS NOT NULL"),
    ),
    # a fifth faster to load than with a rowid, and the report reads it in order
    sqlite_with_rowid=False,
)


screenings = Table(
    "screenings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("gateway", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("text_hash", LargeBinary, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("parts", SmallInteger),
    Column("encoding", SmallInteger),
    Column("price", Money),
    Column("seen_at", Instant, nullable=False),
    UniqueConstraint("text_hash", "gateway", "account", "route", "sender", name="one_screening_per_text"),
)

opt_outs = Table(
    "opt_outs",
    metadata,
    Column("recipient", Text, primary_key=True),
    Column("added_at", Instant, nullable=False),
    Column("source", Text, nullable=False),
)

processes = Table(
    "processes",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("host", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("lock_path", Text),
    Column("started_at", Instant, nullable=False),
    Column("last_seen", Instant, nullable=False),
    Column("gateway", Text, system=True),
)

halts = Table(
    "halts",
    metadata,
    Column("gateway", Text, primary_key=True),
    # '' stops every account of the gateway
    Column("account", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("campaign_id", Integer, index=True),
    Column("row", Integer),
    Column("at", Instant, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail", JSON, nullable=False),
)


refuse_other_moves(rows, ROW_MOVES)
refuse_other_moves(campaigns, CAMPAIGN_MOVES)
