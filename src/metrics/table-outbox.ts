import type { MetricSpecs } from './instruments.ts';

const outboxStates = ['waiting', 'held', 'dead', 'quarantined'] as const;

export const outboxMetrics = {
  outbox_events: {
    help: 'Events that wait for Azure, wait for the end of a hold, or have dead letters, and bodies in quarantine.',
    labels: [{ state: outboxStates }],
  },
  outbox_bytes: {
    help: 'Size of their bodies; that of waiting includes held.',
    labels: [{ state: ['waiting', 'dead', 'quarantined'] }],
  },
  outbox_oldest_age_seconds: {
    help: 'How long ago the oldest of them was received; 0: there is none. The alarm is on waiting and held.',
    labels: [{ state: outboxStates }],
  },
  outbox_used_bytes: {
    help: 'What the outbox takes on the disk: data, which OUTBOX_MAX_BYTES limits, and the write-ahead log.',
  },
  outbox_log_bytes: {
    help: 'Size of outbox.db-wal, the write-ahead log; 0 with PostgreSQL. It grows past 16 MiB only while another program reads in an open transaction.',
  },
  outbox_max_bytes: { help: 'OUTBOX_MAX_BYTES: past it webhooks are answered 503.' },
  outbox_writable: {
    unit: '1 or 0',
    help: 'Whether the outbox would take an event now. 0 too if it does not answer within 2 s; the other values are then the last ones known, and ages go on.',
  },
  outbox_damaged: {
    unit: '1 or 0',
    help: 'Whether a damaged database is set aside that nobody has salvaged or removed yet.',
  },
  outbox_commit_duration_seconds: {
    help: 'How long a commit of new events took, sync included.',
    labels: [{ outcome: ['committed', 'full', 'failed'] }],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  },
  outbox_commit_group_puts: {
    help: 'Webhooks that shared one commit.',
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
  },
  outbox_commit_group_events: {
    help: 'Events, quarantined bodies included, that shared one commit.',
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10000],
  },
  outbox_failures_total: {
    help: 'Times that delivery could not take events (claim) or record what became of them (settle). It tries again.',
    labels: [{ operation: ['claim', 'settle'] }],
  },
  outbox_troubles_total: {
    help: 'Times that the database could not store webhooks (commit), record what became of events (settle), read, fold in its write-ahead log (checkpoint), or remember identities for DEDUP_DAYS (prune).',
    labels: [{ operation: ['commit', 'settle', 'read', 'checkpoint', 'prune'] }],
  },
  disk_free_bytes: { help: 'Free on the file system of DATA_DIR, for this user; 0 with a size of 0: not known.' },
  disk_size_bytes: { help: 'Size of the file system of DATA_DIR.' },
} as const satisfies MetricSpecs;
