import type { DatabaseSync } from 'node:sqlite';

/** "APON": tells a database of ours from any other (https://www.sqlite.org/pragma.html#pragma_application_id). */
export const APPLICATION_ID = 0x41504f4e;

/**
 * Number n of this list brings a database from `user_version` n - 1 to n. A released migration never changes.
 *
 * Claims are not here: they belong to the worker that gave them and must be free again when it is gone, so it keeps
 * them in memory (claims.ts). That also spares a synced write for each claim, and lets claims go on when a disk is full.
 */
const MIGRATIONS: readonly string[] = [
  `
  PRAGMA application_id = ${APPLICATION_ID};

  -- Every event that is waiting, dead, or was delivered within DEDUP_DAYS. Times are milliseconds since the epoch.
  CREATE TABLE identities (
    event_id TEXT NOT NULL PRIMARY KEY,
    stored_at INTEGER NOT NULL,
    delivered_at INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX identities_delivered ON identities (delivered_at) WHERE delivered_at IS NOT NULL;

  -- Waiting while pending_rows > 0, dead while dead_rows > 0; when both are 0 the event is deleted.
  CREATE TABLE events (
    seq INTEGER NOT NULL PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE REFERENCES identities (event_id),
    kind TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    body_form TEXT NOT NULL,
    feed TEXT,
    row_count INTEGER NOT NULL CHECK (row_count >= 1),
    mapped_bytes INTEGER NOT NULL,
    pending TEXT NOT NULL, -- ranges as JSON: [[from, to], ...]
    pending_rows INTEGER NOT NULL,
    dead_rows INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  -- Claims walk it from the oldest, so that their cost does not depend on the backlog; the oldest age is its first entry.
  CREATE INDEX events_waiting ON events (kind, received_at) WHERE pending_rows > 0;
  CREATE INDEX events_dead ON events (received_at) WHERE dead_rows > 0;

  -- Apart from the events, because an UPDATE writes the whole row anew: megabytes for each range that is delivered.
  CREATE TABLE event_bodies (
    seq INTEGER NOT NULL PRIMARY KEY REFERENCES events (seq) ON DELETE CASCADE,
    body TEXT NOT NULL
  ) STRICT;

  CREATE TABLE dead_letters (
    id INTEGER NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
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
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    body BLOB NOT NULL
  ) STRICT;
  CREATE INDEX quarantine_received ON quarantine (received_at);

  -- Counting 200,000 waiting events takes too long for a health check, so the triggers below count along.
  CREATE TABLE counts (
    state TEXT NOT NULL,
    kind TEXT NOT NULL, -- '' in quarantine, where it is not known
    n INTEGER NOT NULL CHECK (n >= 0),
    PRIMARY KEY (state, kind)
  ) STRICT, WITHOUT ROWID;
  CREATE TRIGGER events_inserted AFTER INSERT ON events BEGIN
    INSERT INTO counts VALUES ('waiting', new.kind, new.pending_rows > 0), ('dead', new.kind, new.dead_rows > 0)
      ON CONFLICT DO UPDATE SET n = n + excluded.n;
  END;
  CREATE TRIGGER events_updated AFTER UPDATE OF pending_rows, dead_rows ON events BEGIN
    UPDATE counts SET n = n + (new.pending_rows > 0) - (old.pending_rows > 0) WHERE state = 'waiting' AND kind = new.kind;
    UPDATE counts SET n = n + (new.dead_rows > 0) - (old.dead_rows > 0) WHERE state = 'dead' AND kind = new.kind;
  END;
  CREATE TRIGGER events_deleted AFTER DELETE ON events BEGIN
    UPDATE counts SET n = n - (old.pending_rows > 0) WHERE state = 'waiting' AND kind = old.kind;
    UPDATE counts SET n = n - (old.dead_rows > 0) WHERE state = 'dead' AND kind = old.kind;
  END;
  CREATE TRIGGER quarantine_inserted AFTER INSERT ON quarantine BEGIN
    INSERT INTO counts VALUES ('quarantined', '', 1) ON CONFLICT DO UPDATE SET n = n + 1;
  END;
  CREATE TRIGGER quarantine_deleted AFTER DELETE ON quarantine BEGIN
    UPDATE counts SET n = n - 1 WHERE state = 'quarantined';
  END;

  -- Empty, but while it is tried whether the store takes writes again.
  CREATE TABLE write_probe (id INTEGER NOT NULL PRIMARY KEY, filler BLOB NOT NULL) STRICT;
  `,
  `
  -- Lists of the dead by kind walk the index as those of the waiting do.
  DROP INDEX events_dead;
  CREATE INDEX events_dead ON events (kind, received_at) WHERE dead_rows > 0;

  -- Bytes of bodies, by state. An event that is waiting and dead counts in both.
  ALTER TABLE events ADD COLUMN body_bytes INTEGER NOT NULL DEFAULT 0;
  UPDATE events SET body_bytes = coalesce((SELECT octet_length(body) FROM event_bodies WHERE seq = events.seq), 0);
  ALTER TABLE counts ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
  UPDATE counts SET bytes = CASE state
    WHEN 'waiting' THEN (SELECT total(body_bytes) FROM events WHERE kind = counts.kind AND pending_rows > 0)
    WHEN 'dead' THEN (SELECT total(body_bytes) FROM events WHERE kind = counts.kind AND dead_rows > 0)
    ELSE (SELECT total(octet_length(body)) FROM quarantine) END;

  DROP TRIGGER events_inserted;
  CREATE TRIGGER events_inserted AFTER INSERT ON events BEGIN
    INSERT INTO counts (state, kind, n, bytes) VALUES
      ('waiting', new.kind, new.pending_rows > 0, (new.pending_rows > 0) * new.body_bytes),
      ('dead', new.kind, new.dead_rows > 0, (new.dead_rows > 0) * new.body_bytes)
      ON CONFLICT DO UPDATE SET n = n + excluded.n, bytes = bytes + excluded.bytes;
  END;
  DROP TRIGGER events_updated;
  CREATE TRIGGER events_updated AFTER UPDATE OF pending_rows, dead_rows ON events BEGIN
    UPDATE counts SET n = n + (new.pending_rows > 0) - (old.pending_rows > 0),
      bytes = bytes + ((new.pending_rows > 0) - (old.pending_rows > 0)) * new.body_bytes
      WHERE state = 'waiting' AND kind = new.kind;
    UPDATE counts SET n = n + (new.dead_rows > 0) - (old.dead_rows > 0),
      bytes = bytes + ((new.dead_rows > 0) - (old.dead_rows > 0)) * new.body_bytes
      WHERE state = 'dead' AND kind = new.kind;
  END;
  DROP TRIGGER events_deleted;
  CREATE TRIGGER events_deleted AFTER DELETE ON events BEGIN
    UPDATE counts SET n = n - (old.pending_rows > 0), bytes = bytes - (old.pending_rows > 0) * old.body_bytes
      WHERE state = 'waiting' AND kind = old.kind;
    UPDATE counts SET n = n - (old.dead_rows > 0), bytes = bytes - (old.dead_rows > 0) * old.body_bytes
      WHERE state = 'dead' AND kind = old.kind;
  END;
  DROP TRIGGER quarantine_inserted;
  CREATE TRIGGER quarantine_inserted AFTER INSERT ON quarantine BEGIN
    INSERT INTO counts (state, kind, n, bytes) VALUES ('quarantined', '', 1, length(new.body))
      ON CONFLICT DO UPDATE SET n = n + 1, bytes = bytes + excluded.bytes;
  END;
  DROP TRIGGER quarantine_deleted;
  CREATE TRIGGER quarantine_deleted AFTER DELETE ON quarantine BEGIN
    UPDATE counts SET n = n - 1, bytes = bytes - length(old.body) WHERE state = 'quarantined';
  END;
  `,
  `
  -- The kind that the path of the webhook named, so that a replay reads the body as that; NULL: it named none.
  ALTER TABLE quarantine ADD COLUMN kind TEXT;
  `,
  `
  -- Event ids are hashes: each tree that has them in order costs every event a page of its own, written at the put and
  -- once more at the settlement. One such tree is left, the identities, and a settlement does not touch it.
  --
  -- Which event an identity belongs to. Of one that was delivered it says nothing: that number may be another's now (it
  -- was a time up to version 3), so that an event counts as found when it has both the number and the id.
  DROP INDEX identities_delivered;
  CREATE TABLE deliveries (
    delivered_at INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    PRIMARY KEY (delivered_at, event_id)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO deliveries SELECT delivered_at, event_id FROM identities WHERE delivered_at IS NOT NULL
    ORDER BY delivered_at, event_id;
  ALTER TABLE identities RENAME COLUMN delivered_at TO seq;
  UPDATE identities SET seq = (SELECT seq FROM events WHERE events.event_id = identities.event_id)
    WHERE event_id IN (SELECT event_id FROM events);

  -- Counted by the worker now, once a transaction (tally.ts), and no longer by each statement.
  DROP TRIGGER events_inserted;
  DROP TRIGGER events_updated;
  DROP TRIGGER events_deleted;
  DROP TRIGGER quarantine_inserted;
  DROP TRIGGER quarantine_deleted;

  -- Without the index of its event_id, and without the reference to identities, which needed it. Bodies and dead letters
  -- refer to the table by its name, and stay where they are.
  CREATE TABLE events_of_version_4 (
    seq INTEGER NOT NULL PRIMARY KEY,
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    body_form TEXT NOT NULL,
    feed TEXT,
    row_count INTEGER NOT NULL CHECK (row_count >= 1),
    mapped_bytes INTEGER NOT NULL,
    pending TEXT NOT NULL, -- ranges as JSON: [[from, to], ...]
    pending_rows INTEGER NOT NULL,
    dead_rows INTEGER NOT NULL,
    body_bytes INTEGER NOT NULL
  ) STRICT;
  INSERT INTO events_of_version_4 SELECT seq, event_id, kind, received_at, body_form, feed, row_count, mapped_bytes, pending,
    pending_rows, dead_rows, body_bytes FROM events ORDER BY seq;
  DROP TABLE events;
  ALTER TABLE events_of_version_4 RENAME TO events;
  CREATE INDEX events_waiting ON events (kind, received_at) WHERE pending_rows > 0;
  CREATE INDEX events_dead ON events (kind, received_at) WHERE dead_rows > 0;
  `,
  `
  -- The charset that the Content-Type of the body named, so that a replay reads the same text; NULL: UTF-8 or none.
  ALTER TABLE quarantine ADD COLUMN charset TEXT;
  `,
];

export const SCHEMA_VERSION = MIGRATIONS.length;

/** Brings the schema from one version to another, each step in a transaction of its own. */
export function migrate(db: DatabaseSync, version: number, toVersion = SCHEMA_VERSION): void {
  for (const [index, sql] of MIGRATIONS.entries()) {
    if (index < version || index >= toVersion) continue;
    // A table that is made anew would take along what refers to it (https://www.sqlite.org/lang_altertable.html, 7).
    db.exec('PRAGMA foreign_keys = OFF');
    db.exec('BEGIN IMMEDIATE');
    try {
      db.exec(sql);
      db.exec(`PRAGMA user_version = ${index + 1}`);
      db.exec('COMMIT');
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      throw error;
    } finally {
      db.exec('PRAGMA foreign_keys = ON');
    }
  }
}
