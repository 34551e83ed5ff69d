"""From any older schema to this program's, one version per transaction.

A released version is frozen (a test holds version 1 to its recorded DDL): a change of the schema is a new
function at the end of :data:`MIGRATIONS`, in SQL that names what it changes, and never an edit of an older
one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, delete, insert, inspect, select, text

from dispatcher.errors import UsageError
from dispatcher.ledger.database import Database
from dispatcher.ledger.keys import create_key
from dispatcher.ledger.schema import campaigns, meta, metadata

Migration = Callable[[Connection], None]


def _version_1(connection: Connection) -> None:
    metadata.create_all(connection, checkfirst=False)


def _version_2(connection: Connection) -> None:
    # who got something lately: what a launch asks about every recipient of its file
    connection.execute(text("CREATE INDEX rows_sent_to ON rows (recipient) WHERE state BETWEEN 2 AND 8"))


# by state, one bit for each state it may become in version 3
_MOVES_3 = (
    *((1, 254468), (2, 538), (3, 530), (4, 480)),
    *((9, 16), (13, 16), (14, 16), (15, 16), (16, 16), (17, 16)),
)


def _version_3(connection: Connection) -> None:
    # what was given up may turn out to have been sent: from refused, opted_out … cancelled (9, 13 to 17) to accepted
    cases = " ".join(f"WHEN {old} THEN {bits}" for old, bits in _MOVES_3)
    test = f"OLD.state <> NEW.state AND ((CASE OLD.state {cases} ELSE 0 END) >> NEW.state) & 1 = 0"
    create = "CREATE TRIGGER rows_legal_moves BEFORE UPDATE OF state ON rows"
    if connection.dialect.name == "postgresql":
        connection.execute(text("DROP TRIGGER rows_legal_moves ON rows"))
        call = "EXECUTE FUNCTION rows_legal_moves()"
        connection.execute(text(f"{create} FOR EACH ROW WHEN ({test}) {call}"))
        return
    connection.execute(text("DROP TRIGGER rows_legal_moves"))
    refuse = "BEGIN SELECT RAISE(ABORT, 'illegal move in rows'); END"
    connection.execute(text(f"{create} WHEN {test} {refuse}"))


_SCHEDULES_4 = """
CREATE TABLE schedules (
    id {number}, name TEXT NOT NULL UNIQUE, gateway TEXT NOT NULL, file TEXT NOT NULL, cron TEXT NOT NULL,
    timezone TEXT NOT NULL, late_minutes INTEGER NOT NULL, options JSON NOT NULL, watched_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL, CONSTRAINT schedule_late CHECK (late_minutes >= 1)
)"""
# the key is the promise: no tick is claimed twice; running, it has not ended, and ended, it says how
_TICKS_4 = """
CREATE TABLE ticks (
    schedule_id INTEGER NOT NULL REFERENCES schedules (id), at BIGINT NOT NULL, state SMALLINT NOT NULL,
    owner TEXT NOT NULL, campaign_id INTEGER, outcome TEXT, detail JSON NOT NULL, claimed_at BIGINT NOT NULL,
    finished_at BIGINT, PRIMARY KEY (schedule_id, at),
    CONSTRAINT tick_state CHECK (state BETWEEN 1 AND 4),
    CONSTRAINT tick_running CHECK ((state = 1) = (finished_at IS NULL)),
    CONSTRAINT tick_ended CHECK (state = 1 OR outcome IS NOT NULL)
)"""


def _version_4(connection: Connection) -> None:
    # recurring batches.  A schedule's number never comes to mean another one: its ticks may be remembered elsewhere
    server = connection.dialect.name == "postgresql"
    number = "SERIAL PRIMARY KEY" if server else "INTEGER PRIMARY KEY AUTOINCREMENT"
    connection.execute(text(_SCHEDULES_4.format(number=number)))
    connection.execute(text(_TICKS_4))
    connection.execute(text("CREATE INDEX ticks_running ON ticks (schedule_id, at) WHERE state = 1"))
    # a row is never put off until it is of no use
    connection.execute(
        text("ALTER TABLE rows ADD COLUMN useful_until BIGINT CHECK (useful_until >= due_at OR state <> 1)")
    )


def _version_5(connection: Connection) -> None:
    # a listing need not say which of its messages were dry runs
    columns = "message_id TEXT NOT NULL, gateway TEXT NOT NULL, made_at BIGINT NOT NULL"
    connection.execute(text(f"CREATE TABLE dry_runs ({columns}, PRIMARY KEY (message_id, gateway))"))


_INBOX_6 = """
CREATE TABLE inbox (
    id {number}, gateway TEXT NOT NULL, message_id TEXT NOT NULL, campaign_id INTEGER NOT NULL, "row" INTEGER NOT NULL,
    state SMALLINT NOT NULL, proves BOOLEAN NOT NULL, sent_at BIGINT, delivered_at BIGINT, actual_cost BIGINT,
    parts SMALLINT, encoding SMALLINT, error_code TEXT, error_detail TEXT, received_at BIGINT NOT NULL,
    CONSTRAINT one_report_per_state UNIQUE (gateway, message_id, state)
)"""
# parts that were paid for, by what one cost: enough for a median and a range, and no row of anybody
_LEARNT_6 = """
CREATE TABLE learnt_prices (
    gateway TEXT NOT NULL, route TEXT NOT NULL, country TEXT NOT NULL, price BIGINT NOT NULL, n INTEGER NOT NULL,
    last_seen BIGINT NOT NULL, PRIMARY KEY (gateway, route, country, price),
    CONSTRAINT learnt_price CHECK (price >= 0 AND n >= 1)
)"""
_CODES_6 = """
CREATE TABLE codes_sent (
    id {number}, gateway TEXT NOT NULL, recipient_hash {blob} NOT NULL, prefix TEXT NOT NULL, at BIGINT NOT NULL
)"""


_OWN_TOKENS_6 = """
CREATE TABLE campaign_tokens (
    campaign_id INTEGER NOT NULL PRIMARY KEY REFERENCES campaigns (id) ON DELETE CASCADE, token TEXT,
    spent_before BIGINT, wallet_amount BIGINT, total_requests INTEGER, expires_at BIGINT, wanted_at BIGINT NOT NULL,
    gone_at BIGINT,
    CONSTRAINT token_made CHECK (token IS NULL OR (wallet_amount IS NOT NULL AND total_requests IS NOT NULL
        AND expires_at IS NOT NULL AND gone_at IS NULL))
)"""


def _version_6(connection: Connection) -> None:
    # what became of messages: reports that match no row yet, prices seen, codes sent (to keep to their limits)
    server = connection.dialect.name == "postgresql"
    number = "BIGSERIAL PRIMARY KEY" if server else "INTEGER PRIMARY KEY"
    connection.execute(text(_INBOX_6.format(number=number)))
    connection.execute(text('CREATE INDEX inbox_by_row ON inbox (campaign_id, "row")'))
    connection.execute(text(_LEARNT_6))
    connection.execute(text(_CODES_6.format(number=number, blob="BYTEA" if server else "BLOB")))
    connection.execute(text("CREATE INDEX codes_sent_lately ON codes_sent (gateway, at)"))
    # who is asked about next: messages that are not final yet (nor given up), the oldest first
    awaiting = "state = 4 AND (reason IS NULL OR reason <> 'no_final_word')"
    connection.execute(text(f"CREATE INDEX rows_awaiting ON rows (gateway_id, sent_at) WHERE {awaiting}"))
    # and final ones whose price has not been told yet
    unpriced = "actual_cost IS NULL AND state BETWEEN 5 AND 8"
    connection.execute(text(f"CREATE INDEX rows_unpriced ON rows (gateway_id, sent_at) WHERE {unpriced}"))
    # what the gateway counted, where that is not what was planned
    connection.execute(text("ALTER TABLE rows ADD COLUMN actual_parts SMALLINT"))
    connection.execute(text("ALTER TABLE rows ADD COLUMN actual_encoding SMALLINT"))
    # the rows that go first and alone (JSON list of row numbers), and since when a campaign's texts are gone
    connection.execute(text("ALTER TABLE campaigns ADD COLUMN canary TEXT"))
    for moment in ("purge_begun_at", "purged_at", "guarded_until"):
        connection.execute(text(f"ALTER TABLE campaigns ADD COLUMN {moment} BIGINT"))
    # asked at every claim: whether the guard has to know any hash of a purged row
    guarded = "CREATE INDEX campaigns_guarded ON campaigns (guarded_until) WHERE guarded_until IS NOT NULL"
    connection.execute(text(guarded))
    # campaigns that send with a token of their own, and its secret as long as it is needed
    connection.execute(text(_OWN_TOKENS_6))
    # through which gateway a process sends: rows are left to those of their own only
    connection.execute(text("ALTER TABLE processes ADD COLUMN gateway TEXT"))
    create_key(connection)


_SUMS_7 = """
CREATE TABLE campaign_sums (
    campaign_id INTEGER NOT NULL REFERENCES campaigns (id), route TEXT NOT NULL, country TEXT NOT NULL,
    state SMALLINT NOT NULL, n INTEGER NOT NULL, parts BIGINT NOT NULL, estimated BIGINT NOT NULL,
    unestimated INTEGER NOT NULL, charged BIGINT NOT NULL, unpriced INTEGER NOT NULL, bundled INTEGER NOT NULL,
    bundled_parts BIGINT NOT NULL, bundled_charged BIGINT NOT NULL, dearer INTEGER NOT NULL, cheaper INTEGER NOT NULL,
    recounted INTEGER NOT NULL, PRIMARY KEY (campaign_id, route, country, state)
)"""
_ADD_UP_7 = """
INSERT INTO campaign_sums
SELECT campaign_id, coalesce(route, ''), coalesce(country, ''), state, count(*), coalesce(sum(parts), 0),
    coalesce(sum(estimated_cost), 0), count(*) - count(estimated_cost), coalesce(sum(actual_cost), 0),
    count(*) - count(actual_cost), sum(CASE WHEN estimated_cost = 0 THEN 1 ELSE 0 END),
    sum(CASE WHEN estimated_cost = 0 THEN coalesce(parts, 0) ELSE 0 END),
    sum(CASE WHEN estimated_cost = 0 THEN coalesce(actual_cost, 0) ELSE 0 END),
    sum(CASE WHEN estimated_cost <> 0 AND actual_cost > estimated_cost THEN 1 ELSE 0 END),
    sum(CASE WHEN estimated_cost <> 0 AND actual_cost < estimated_cost THEN 1 ELSE 0 END), 0
FROM rows WHERE campaign_id = :campaign GROUP BY campaign_id, coalesce(route, ''), coalesce(country, ''), state"""


def _version_7(connection: Connection) -> None:
    if inspect(connection).has_table("campaign_sums"):
        return  # made by a state of this program in which version 6 made them
    connection.execute(text(_SUMS_7))
    # one campaign after the other: the rows of all at once would be sorted in memory
    for campaign in connection.execute(select(campaigns.c.id).order_by(campaigns.c.id)).scalars().all():
        connection.execute(text(_ADD_UP_7), {"campaign": campaign})
    # rows that need a person's eye, few among millions
    problem = "(state = 3 OR state BETWEEN 6 AND 10 OR state BETWEEN 15 AND 17)"
    connection.execute(text(f'CREATE INDEX rows_problem ON rows (campaign_id, "row") WHERE {problem}'))


MIGRATIONS: Sequence[Migration] = (
    _version_1, _version_2, _version_3, _version_4, _version_5, _version_6, _version_7
)  # fmt: skip


def version_of(connection: Connection, place: str) -> int:
    """The schema's version; 0 is an empty database.  UsageError when it holds something that is no ledger."""
    names = set(inspect(connection).get_table_names())
    if not names:
        return 0
    if "meta" in names and "campaigns" in names:
        found = connection.execute(select(meta.c.value).where(meta.c.key == "version")).scalar()
        if found is not None:
            return int(found)
    raise UsageError("ledger_not_a_ledger", file=place)


def migrate(database: Database, new_id: str, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the schema to ``len(migrations)``; an empty database becomes a ledger called ``new_id``.

    UsageError when the schema is newer than this program.
    """
    while _step(database, new_id, migrations):
        pass


def _step(database: Database, new_id: str, migrations: Sequence[Migration]) -> bool:
    with database.read() as connection:
        if version_of(connection, database.place) == len(migrations):
            return False
    with database.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(7316905)"))
        version = version_of(connection, database.place)  # again: another process may have been faster
        if version > len(migrations):
            raise UsageError("ledger_newer", file=database.place, found=str(version), known=len(migrations))
        if version == len(migrations):
            return False
        migrations[version](connection)
        if version == 0:
            connection.execute(insert(meta).values(key="id", value=new_id))
        connection.execute(delete(meta).where(meta.c.key == "version"))
        connection.execute(insert(meta).values(key="version", value=str(version + 1)))
    return True
