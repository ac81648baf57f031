/** Whether a stream may be sent to now, for all that deliver from the same outbox. */
export interface Turn {
  /** 0: go on. Else rest for so many milliseconds, then ask again. */
  readonly restMs: number;
  /** All others rest until this one has found out whether Azure takes rows again: send one call at a time. */
  readonly alone: boolean;
}

/**
 * Ingestion over its limit, or a stream on hold, is a matter of the whole group: what one replica learns slows all, and
 * one of them tries again for all. No method rejects: where the others cannot be asked, everybody goes at their own pace.
 */
export interface SharedPace {
  turn(stream: string): Promise<Turn>;
  /** Azure asked for a pause, or holds the stream. `wasAlone`: this is what the one that tried for all found out. */
  rest(stream: string, delayMs: number, wasAlone: boolean): Promise<void>;
  /** Azure takes rows again. */
  resume(stream: string): Promise<void>;
}

/** Of an outbox that one process has for itself: its own backoff is all there is. */
export const ownPace: SharedPace = {
  turn: async () => ({ restMs: 0, alone: false }),
  rest: async () => undefined,
  resume: async () => undefined,
};
