/** Why an outbox could not be opened. Each has its place in docs/errors.md. */
export type OutboxStartCode =
  /** Another process has it open. */
  | 'outbox_locked'
  /** It was written by a later version of this service. */
  | 'outbox_newer_version'
  /** It was written by a version before 0.1.0, whose form nothing reads any more. */
  | 'outbox_older_version'
  /** The file is a database, but not one of ours. */
  | 'outbox_foreign_database'
  /** The path does not name a folder, and no folder can be made there. */
  | 'outbox_no_folder'
  /** The folder or its files cannot be read or written by this user. */
  | 'outbox_permission'
  | 'outbox_disk_full'
  | 'outbox_io_error'
  /** The file system cannot keep what is promised (no write-ahead log, or settings that do not hold). */
  | 'outbox_unsupported'
  /** A network file system, on which locks and syncs are not what they are on a disk. */
  | 'outbox_network_file_system'
  | 'outbox_cannot_open';

/** The message names the place and says what to do next. Nothing was stored, deleted or renamed. */
export class OutboxStartError extends Error {
  override readonly name = 'OutboxStartError';
  readonly code: OutboxStartCode;

  constructor(code: OutboxStartCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
