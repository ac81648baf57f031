import type { Retry } from '../../azure/arm-client.ts';
import type { Clock } from '../../ground/clock.ts';
import { timeText } from '../../sentinel/incidents/lines.ts';
import type { TextOutput } from '../context.ts';
import { plural, printable } from '../text.ts';

/** Between lines where no terminal shows one that changes. */
const pauseMs = 10_000;

/** Above this, the user is told why we are waiting. */
export const longWaitMs = 5_000;

export function waitingText({ reason, delayMs }: Retry): string {
  return `waiting ${Math.ceil(delayMs / 1000)} s: ${printable(reason)}`;
}

/** How far an export is: one changing line on a terminal, else a line every ten seconds. Has no timers. */
export class Progress {
  readonly #output: TextOutput;
  readonly #clock: Clock;
  readonly #isQuiet: boolean;
  #shownAt: number;
  #hasLine = false;

  constructor(output: TextOutput, clock: Clock, { quiet }: { readonly quiet: boolean }) {
    this.#output = output;
    this.#clock = clock;
    this.#isQuiet = quiet;
    this.#shownAt = clock.now();
  }

  update(count: number, createdAt: string | null): void {
    this.#show(`${plural(count, 'incident')}, up to the one created ${timeText(createdAt)}`);
  }

  retry(retry: Retry): void {
    this.#show(waitingText(retry), retry.delayMs >= longWaitMs);
  }

  /** Ends the line of a terminal, so that what follows begins its own. */
  end(): void {
    if (this.#hasLine) this.#output.write('\r\u001b[K');
    this.#hasLine = false;
  }

  #show(text: string, isUrgent = false): void {
    if (this.#isQuiet) return;
    if (this.#output.isTTY === true) {
      this.#output.write(`\r${text.slice(0, Math.max(20, (this.#output.columns ?? 80) - 1))}\u001b[K`);
      this.#hasLine = true;
      return;
    }
    const now = this.#clock.now();
    const waitedMs = now - this.#shownAt;
    // Negative when the clock was set back.
    if (!isUrgent && waitedMs >= 0 && waitedMs < pauseMs) return;
    this.#shownAt = now;
    this.#output.write(`${text}\n`);
  }
}
