/** What takes text: process.stderr. */
interface Output {
  write(text: string): unknown;
}

export interface LineBatch extends Output {
  /** Writes what waits. To be called when the process ends, or its last lines are lost. */
  flush(): void;
}

/** So that what waits is bounded within a long turn too. */
const maxWaitingLength = 65_536;

/**
 * The lines of one turn of the event loop in one write. Each write to stderr is a system call, and one of the dearest
 * things that happen to a webhook; those of one group commit are answered, and so logged, in one turn.
 */
export function batchLines(output: Output): LineBatch {
  let waiting = '';

  function flush(): void {
    if (waiting === '') return;
    const text = waiting;
    waiting = '';
    output.write(text);
  }

  return {
    write(line) {
      if (waiting === '') setImmediate(flush);
      waiting += line;
      if (waiting.length > maxWaitingLength) flush();
    },
    flush,
  };
}
