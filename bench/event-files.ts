/**
 * `node bench/event-files.ts`: which files of src/ one event runs that start and stop do not: those with a function that
 * V8's coverage has as called when the service takes one webhook and delivers it, and as not called when it only starts,
 * answers /healthz and stops. Prints them and their number.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { documentedEvents } from './events.ts';
import { sendAll } from './load.ts';
import { type Azure, drained, startAzure, startService } from './processes.ts';

const SOURCE = new URL('../src/', import.meta.url).href;

interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly {
      readonly ranges: readonly { readonly startOffset: number; readonly endOffset: number; readonly count: number }[];
    }[];
  }[];
}

/** Called functions of src/, as `file start-end`; the main thread and the store thread write a report each. */
async function calledFunctions(azure: Azure, isSending: boolean): Promise<Set<string>> {
  const folder = await mkdtemp(path.join(tmpdir(), 'apono-sentinel-coverage-'));
  try {
    process.env['NODE_V8_COVERAGE'] = folder;
    const service = await startService(azure);
    await drained(service);
    if (isSending) {
      await sendAll(service.target, [documentedEvents('coverage')(0)], 1);
      await drained(service);
    }
    await service.stop();
    const called = new Set<string>();
    for (const name of await readdir(folder)) {
      const { result } = JSON.parse(await readFile(path.join(folder, name), 'utf8')) as Coverage;
      for (const { url, functions } of result) {
        if (!url.startsWith(SOURCE)) continue;
        for (const { ranges } of functions) {
          const [whole] = ranges;
          if (whole === undefined || whole.count === 0) continue;
          called.add(`${url.slice(SOURCE.length)} ${whole.startOffset}-${whole.endOffset}`);
        }
      }
    }
    return called;
  } finally {
    delete process.env['NODE_V8_COVERAGE'];
    await rm(folder, { recursive: true, force: true });
  }
}

const azure = await startAzure();
try {
  const always = await calledFunctions(azure, false);
  const withEvent = await calledFunctions(azure, true);
  const more = [...withEvent].filter((name) => !always.has(name));
  const files = [...new Set(more.map((name) => name.split(' ')[0] ?? ''))].sort();
  process.stdout.write(`${files.join('\n')}\n${files.length} files, ${more.length} functions\n`);
} finally {
  await azure.stop();
}
