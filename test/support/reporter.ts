import { Readable } from 'node:stream';
import { spec } from 'node:test/reporters';

interface TestEvent {
  readonly type: string;
  readonly data: { readonly nesting?: number; readonly message?: string };
}

/**
 * Node's own reporter, and after its list of failed tests the totals once more, so that they are the last lines whatever
 * came of the run.
 */
// biome-ignore lint/style/noDefaultExport: Node takes the default export of a reporter's file.
export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string | Buffer> {
  const totals: string[] = [];
  let hasFailures = false;
  async function* watched(): AsyncGenerator<TestEvent> {
    for await (const event of events) {
      const { nesting, message = '' } = event.data;
      if (event.type === 'test:fail') hasFailures = true;
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
  if (hasFailures) yield `\n${totals.map((line) => `ℹ ${line}\n`).join('')}`;
}
