/** Schemas with a lower number than this were written before 0.1.0, and nothing reads them any more. */
export const SCHEMA_VERSION = 3;

/** Tells a schema of ours from any other of its name. */
export const OWNER = 'apono-sentinel';

/** Makes the tables, in the schema that the search path begins with. */
export const SCHEMA = `
  -- The oldest version of the service that works with these tables is works_from, in numbers of SCHEMA_VERSION.
  CREATE TABLE outbox_version (owner text NOT NULL, version integer NOT NULL, works_from integer NOT NULL);
  INSERT INTO outbox_version VALUES ('${OWNER}', ${SCHEMA_VERSION}, ${SCHEMA_VERSION});

  -- The order of storing. A sequence of its own, because events are inserted in the order of their ids.
  CREATE SEQUENCE event_numbers;

  -- Every event that is waiting, dead, or was delivered within DEDUP_DAYS. Times are milliseconds since the epoch.
  -- Waiting while pending_rows > 0, dead while dead_rows > 0; delivered_at is set when both have become 0.
  CREATE TABLE events (
    seq bigint NOT NULL PRIMARY KEY,
    event_id text COLLATE "C" NOT NULL UNIQUE,
    kind text COLLATE "C" NOT NULL,
    stored_at bigint NOT NULL,
    received_at bigint NOT NULL,
    delivered_at bigint,
    feed text,
    row_count integer NOT NULL,
    mapped_bytes bigint NOT NULL, -- of all rows as they are sent
    body_bytes bigint NOT NULL, -- of what is stored of them
    pending text COLLATE "C" NOT NULL, -- ranges as JSON: [[from, to], ...]
    pending_rows integer NOT NULL,
    dead_rows integer NOT NULL,
    -- The claim. It is over when its holder is gone, whatever stands here.
    holder bigint,
    token bigint,
    claimed text COLLATE "C" -- the rows of the claim that are not settled yet, as JSON
  -- Room for a new version of a row in its page, so that a claim changes no index; and vacuumed early, because dead
  -- versions gather where every claim begins.
  ) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
  -- Claims and lists walk them from the oldest; counts and ages are read from them alone.
  CREATE INDEX events_waiting ON events (kind, received_at, seq) INCLUDE (body_bytes) WHERE pending_rows > 0;
  CREATE INDEX events_dead ON events (kind, received_at, seq) INCLUDE (body_bytes) WHERE dead_rows > 0;
  CREATE INDEX events_delivered ON events (delivered_at) WHERE delivered_at IS NOT NULL;

  -- The rows of an event, until all of them are delivered. Apart from the events, whose rows change often. No foreign
  -- key here nor below: it would look here for each event that is forgotten.
  CREATE TABLE bodies (
    seq bigint NOT NULL PRIMARY KEY,
    shared text NOT NULL, -- a JSON object
    own text NOT NULL -- a JSON object in each line
  ) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

  CREATE TABLE dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seq bigint NOT NULL, -- of the event
    rows text COLLATE "C" NOT NULL, -- ranges as JSON
    code text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    dead_at bigint NOT NULL
  );
  CREATE INDEX dead_letters_event ON dead_letters (seq);

  CREATE TABLE quarantine (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    quarantine_id text COLLATE "C" NOT NULL UNIQUE,
    stored_at bigint NOT NULL,
    received_at bigint NOT NULL,
    feed text,
    kind text COLLATE "C", -- that the path of the webhook named
    charset text COLLATE "C", -- that the Content-Type named
    code text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    body bytea NOT NULL
  );
  CREATE INDEX quarantine_received ON quarantine (received_at, seq);

  -- Processes that may hold claims, each renewed while it lives: so claims of a process that died end with it, and
  -- keeping many costs one write. By the database's clock, the only one that all share.
  CREATE TABLE replicas (id bigint NOT NULL PRIMARY KEY, alive_until timestamptz NOT NULL);

  -- Streams that rest for all replicas, because Azure asked for it or holds them: nobody sends before this time, and the
  -- first to come after it tries for all.
  CREATE TABLE paces (stream text COLLATE "C" NOT NULL PRIMARY KEY, rests_until timestamptz NOT NULL);

  -- Empty, except while it is tried whether the database takes writes again. Not compressed, so that it takes the room.
  CREATE TABLE write_probe (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, filler bytea NOT NULL);
  ALTER TABLE write_probe ALTER COLUMN filler SET STORAGE EXTERNAL;
`;
