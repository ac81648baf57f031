/** "APON": tells a database of ours from any other (https://www.sqlite.org/pragma.html#pragma_application_id). */
export const APPLICATION_ID = 0x41504f4e;

/** `user_version`. Databases with a lower number than this were written before 0.1.0, and nothing reads them any more. */
export const SCHEMA_VERSION = 6;

/** Makes the tables. Claims are not here: the process that took them keeps them in memory (writes.ts). */
export const SCHEMA = `
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};

  -- Every event that is waiting, dead, or was delivered within DEDUP_DAYS. Times are milliseconds since the epoch.
  -- Waiting while pending_rows > 0, dead while dead_rows > 0; delivered_at is set when both have become 0.
  CREATE TABLE events (
    seq INTEGER NOT NULL PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    stored_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    delivered_at INTEGER,
    feed TEXT,
    row_count INTEGER NOT NULL,
    mapped_bytes INTEGER NOT NULL, -- of all rows as they are sent
    body_bytes INTEGER NOT NULL, -- of what is stored of them
    pending TEXT NOT NULL, -- ranges as JSON: [[from, to], ...]
    pending_rows INTEGER NOT NULL,
    dead_rows INTEGER NOT NULL
  ) STRICT;
  -- Claims and lists walk it from the oldest; counts and ages are read from it alone.
  CREATE INDEX events_waiting ON events (kind, received_at, seq, body_bytes) WHERE pending_rows > 0;
  CREATE INDEX events_dead ON events (kind, received_at, seq, body_bytes) WHERE dead_rows > 0;
  CREATE INDEX events_delivered ON events (delivered_at) WHERE delivered_at IS NOT NULL;

  -- The rows of an event, until all of them are delivered. Apart from the events, because an UPDATE writes the whole row
  -- of a table anew: megabytes for each range that is delivered. The kind is for salvaging rows whose event is lost.
  CREATE TABLE bodies (
    seq INTEGER NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    shared TEXT NOT NULL, -- a JSON object
    own TEXT NOT NULL -- a JSON object in each line
  ) STRICT;

  CREATE TABLE dead_letters (
    id INTEGER NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL,
    rows TEXT NOT NULL, -- ranges as JSON
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    dead_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX dead_letters_event ON dead_letters (seq);

  CREATE TABLE quarantine (
    seq INTEGER NOT NULL PRIMARY KEY,
    quarantine_id TEXT NOT NULL UNIQUE,
    stored_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    feed TEXT,
    kind TEXT, -- that the path of the webhook named
    charset TEXT, -- that the Content-Type named
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    body BLOB NOT NULL
  ) STRICT;
  CREATE INDEX quarantine_received ON quarantine (received_at, seq);

  -- Empty, except while it is tried whether the store takes writes again.
  CREATE TABLE write_probe (id INTEGER NOT NULL PRIMARY KEY, filler BLOB NOT NULL) STRICT;
`;
