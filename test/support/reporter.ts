import { Readable } from 'node:stream';
import { spec } from 'node:test/reporters';

interface TestEvent {
  readonly type: string;
  readonly data: {
    readonly nesting?: number;
    readonly message?: string;
    readonly name?: string;
    readonly details?: { readonly error?: { readonly exitCode?: number | null; readonly signal?: string | null } };
  };
}

/**
 * Node's own reporter, and after its list of failed tests how the process of a file ended, which that does not say, and
 * the totals once more, so that they are the last lines whatever came of the run.
 */
// biome-ignore lint/style/noDefaultExport: Node takes the default export of a reporter's file.
export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string | Buffer> {
  const totals: string[] = [];
  const ends: string[] = [];
  let hasFailures = false;
  async function* watched(): AsyncGenerator<TestEvent> {
    for await (const event of events) {
      const { nesting, message = '', name, details } = event.data;
      if (event.type === 'test:fail') {
        hasFailures = true;
        const { exitCode, signal } = details?.error ?? {};
        if (exitCode !== undefined) ends.push(`${name} ended with ${signal ?? `exit code ${exitCode}`}`);
      }
      if (
        event.type === 'test:diagnostic' &&
        nesting === 0 &&
        /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) \d/.test(message)
      ) {
        totals.push(message);
      }
      yield event;
    }
  }
  yield* Readable.from(watched()).compose(new spec());
  if (hasFailures) yield `\n${[...ends, ...totals].map((line) => `ℹ ${line}\n`).join('')}`;
}
