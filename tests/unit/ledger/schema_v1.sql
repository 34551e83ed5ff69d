CREATE INDEX ix_events_campaign_id ON events (campaign_id)

CREATE UNIQUE INDEX one_open_campaign_per_file ON campaigns (file_sha256, fingerprint, gateway_id) WHERE NOT (state BETWEEN 10 AND 11)

CREATE UNIQUE INDEX one_row_per_message ON rows (message_id, gateway_id) WHERE message_id IS NOT NULL

CREATE INDEX rows_guard ON rows (guard_key) WHERE state BETWEEN 2 AND 8

CREATE INDEX rows_ready ON rows (campaign_id, due_at, "row") WHERE state = 1

CREATE INDEX rows_unsettled ON rows (campaign_id, state, deadline) WHERE state BETWEEN 2 AND 3

CREATE TABLE campaign_counts (
	campaign_id INTEGER NOT NULL,
	state SMALLINT NOT NULL,
	n INTEGER NOT NULL,
	parts INTEGER NOT NULL,
	PRIMARY KEY (campaign_id, state),
	CONSTRAINT counts_not_negative CHECK (n >= 0 AND parts >= 0),
	FOREIGN KEY(campaign_id) REFERENCES campaigns (id)
)
 WITHOUT ROWID

CREATE TABLE campaigns (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL,
	file_name TEXT NOT NULL,
	file_sha256 TEXT NOT NULL,
	input_path TEXT,
	sheet TEXT,
	source JSON NOT NULL,
	options JSON NOT NULL,
	fingerprint TEXT NOT NULL,
	gateway_id INTEGER NOT NULL,
	account TEXT,
	owner TEXT,
	state SMALLINT NOT NULL,
	state_reason TEXT,
	priority SMALLINT NOT NULL,
	rows INTEGER NOT NULL,
	parts INTEGER NOT NULL,
	estimated_cost BIGINT,
	unpriced_rows INTEGER NOT NULL,
	currency TEXT NOT NULL,
	max_cost BIGINT,
	committed_cost BIGINT NOT NULL,
	actual_cost BIGINT NOT NULL,
	accepted_unpriced INTEGER NOT NULL,
	not_echoed INTEGER NOT NULL,
	report_path TEXT,
	report_sha256 TEXT,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	started_at BIGINT,
	finished_at BIGINT,
	CONSTRAINT campaign_state CHECK (state BETWEEN 1 AND 11),
	CONSTRAINT campaign_money CHECK (committed_cost >= 0 AND actual_cost >= 0 AND accepted_unpriced >= 0),
	CONSTRAINT campaign_max_cost CHECK (max_cost IS NULL OR max_cost >= 0),
	FOREIGN KEY(gateway_id) REFERENCES gateways (id)
)

CREATE TABLE events (
	id INTEGER NOT NULL,
	campaign_id INTEGER,
	"row" INTEGER,
	at BIGINT NOT NULL,
	kind TEXT NOT NULL,
	detail JSON NOT NULL,
	PRIMARY KEY (id)
)

CREATE TABLE gateways (
	id INTEGER NOT NULL,
	name TEXT NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (name)
)

CREATE TABLE halts (
	gateway TEXT NOT NULL,
	account TEXT NOT NULL,
	reason TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (gateway, account)
)

CREATE TABLE meta (
	"key" TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY ("key")
)

CREATE TABLE opt_outs (
	recipient TEXT NOT NULL,
	added_at BIGINT NOT NULL,
	source TEXT NOT NULL,
	PRIMARY KEY (recipient)
)

CREATE TABLE processes (
	owner TEXT NOT NULL,
	pid INTEGER NOT NULL,
	host TEXT NOT NULL,
	role TEXT NOT NULL,
	lock_path TEXT,
	started_at BIGINT NOT NULL,
	last_seen BIGINT NOT NULL,
	PRIMARY KEY (owner)
)

CREATE TABLE rows (
	campaign_id INTEGER NOT NULL,
	"row" INTEGER NOT NULL,
	state SMALLINT NOT NULL,
	gateway_id INTEGER NOT NULL,
	due_at BIGINT NOT NULL,
	reason TEXT,
	recipient TEXT,
	country TEXT,
	route TEXT,
	sender TEXT,
	text TEXT,
	encoding SMALLINT,
	parts SMALLINT,
	estimated_cost BIGINT,
	reserve_cost BIGINT,
	guard_key BLOB,
	repairs INTEGER NOT NULL,
	phone TEXT,
	attempts SMALLINT DEFAULT 0 NOT NULL,
	attempt_token TEXT,
	claimed_by TEXT,
	attempt_started_at BIGINT,
	deadline BIGINT,
	in_doubt_at BIGINT,
	decided_at BIGINT,
	message_id TEXT,
	echoed BOOLEAN,
	actual_cost BIGINT,
	sent_at BIGINT,
	delivered_at BIGINT,
	error_code TEXT,
	error_detail TEXT,
	PRIMARY KEY (campaign_id, "row"),
	CONSTRAINT row_state CHECK (state BETWEEN 1 AND 17),
	CONSTRAINT row_sendable CHECK (NOT (state BETWEEN 1 AND 9) OR (recipient IS NOT NULL AND text IS NOT NULL AND route IS NOT NULL AND parts IS NOT NULL AND parts >= 1 AND reserve_cost IS NOT NULL AND reserve_cost >= 0 AND guard_key IS NOT NULL AND length(guard_key) = 16)),
	CONSTRAINT row_attempted CHECK (NOT (state BETWEEN 2 AND 3) OR (attempt_token IS NOT NULL AND claimed_by IS NOT NULL AND attempt_started_at IS NOT NULL AND deadline IS NOT NULL AND message_id IS NULL)),
	CONSTRAINT row_in_doubt CHECK ((state = 3) = (in_doubt_at IS NOT NULL)),
	CONSTRAINT row_sent CHECK (NOT (state BETWEEN 4 AND 8) OR ((message_id IS NOT NULL OR decided_at IS NOT NULL) AND sent_at IS NOT NULL)),
	CONSTRAINT row_not_sent CHECK (state BETWEEN 4 AND 9 OR (message_id IS NULL AND sent_at IS NULL AND actual_cost IS NULL)),
	CONSTRAINT row_actual_cost CHECK (actual_cost IS NULL OR actual_cost >= 0),
	FOREIGN KEY(campaign_id) REFERENCES campaigns (id)
)
 WITHOUT ROWID

CREATE TABLE screenings (
	id INTEGER NOT NULL,
	gateway TEXT NOT NULL,
	account TEXT NOT NULL,
	route TEXT NOT NULL,
	sender TEXT NOT NULL,
	text_hash BLOB NOT NULL,
	outcome TEXT NOT NULL,
	parts SMALLINT,
	encoding SMALLINT,
	price BIGINT,
	seen_at BIGINT NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT one_screening_per_text UNIQUE (text_hash, gateway, account, route, sender)
)

CREATE TRIGGER campaigns_legal_moves BEFORE UPDATE OF state ON campaigns WHEN OLD.state <> NEW.state AND ((CASE OLD.state WHEN 1 THEN 4 WHEN 2 THEN 2056 WHEN 3 THEN 4020 WHEN 4 THEN 2860 WHEN 5 THEN 4032 WHEN 6 THEN 4000 WHEN 7 THEN 3624 WHEN 8 THEN 2604 WHEN 9 THEN 2088 ELSE 0 END) >> NEW.state) & 1 = 0 BEGIN SELECT RAISE(ABORT, 'illegal move in campaigns'); END

CREATE TRIGGER rows_legal_moves BEFORE UPDATE OF state ON rows WHEN OLD.state <> NEW.state AND ((CASE OLD.state WHEN 1 THEN 254468 WHEN 2 THEN 538 WHEN 3 THEN 530 WHEN 4 THEN 480 ELSE 0 END) >> NEW.state) & 1 = 0 BEGIN SELECT RAISE(ABORT, 'illegal move in rows'); END
