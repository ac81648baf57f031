import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { openDatabase } from './database.ts';
import { describe, toStartError } from './errors.ts';
import type { Operation, Operations, Reply, Request, RequestOf, WorkerSettings } from './protocol.ts';
import { createStore, type Store } from './store.ts';

/**
 * The thread that owns the database, so that a slow sync holds up nobody's event loop. It works in turns: every put that
 * has arrived in one commit, then every settlement in one commit, then one of the others. So new events go first, and
 * yet a steady stream of them cannot keep delivery from its share of the turns.
 */

/** Bodies in one commit, so that the write-ahead log stays bounded; a single put may be larger. */
const MAX_GROUP_BYTES = 16 * 1024 * 1024;

interface Pruning {
  readonly id: number;
  readonly deliveredBefore: number;
  forgotten: number;
}

function serve(port: MessagePort, store: Store): void {
  const puts: RequestOf<'put'>[] = [];
  const settles: RequestOf<'settle'>[] = [];
  const others: (RequestOf<'claim'> | RequestOf<'stats'> | RequestOf<'prune'>)[] = [];
  let pruning: Pruning | null = null;
  let closing: RequestOf<'close'> | null = null;

  const reply = (message: Reply) => port.postMessage(message);
  const answer = <Name extends Operation>({ id }: RequestOf<Name>, value: Operations[Name]['result']) =>
    reply({ type: 'answer', id, value });
  const defect = (id: number, error: Error) => reply({ type: 'defect', id, message: error.message });

  function accept(request: Request): void {
    if (request.op === 'put') puts.push(request);
    else if (request.op === 'settle') settles.push(request);
    else if (request.op === 'close') closing = request;
    else others.push(request);
  }

  function takePuts(): RequestOf<'put'>[] {
    let bytes = 0;
    const end = puts.findIndex((request, index) => {
      bytes += request.args.bytes;
      return index > 0 && bytes > MAX_GROUP_BYTES;
    });
    return puts.splice(0, end === -1 ? puts.length : end);
  }

  function runPuts(): void {
    const group = takePuts();
    if (group.length === 0) return;
    const results = store.put(group.map((request) => request.args));
    for (const [index, request] of group.entries()) {
      const result = results[index] ?? new Error('The group lost a put');
      if (result instanceof Error) defect(request.id, result);
      else answer<'put'>(request, result);
    }
  }

  function runSettles(): void {
    const group = settles.splice(0);
    if (group.length === 0) return;
    const results = store.settle(group.map((request) => request.args));
    for (const [index, request] of group.entries()) {
      if ('unavailable' in results) {
        reply({ type: 'unavailable', id: request.id, reason: results.unavailable });
        continue;
      }
      const result = results[index] ?? new Error('The group lost a settlement');
      if (result instanceof Error) defect(request.id, result);
      else answer<'settle'>(request, result);
    }
  }

  function runOther(): void {
    const request = others.shift();
    if (request === undefined) return;
    try {
      if (request.op === 'claim') answer<'claim'>(request, store.claim(request.args));
      else if (request.op === 'stats') answer<'stats'>(request, store.stats(request.args.now));
      else if (pruning !== null) others.push(request);
      else pruning = { id: request.id, deliveredBefore: request.args.deliveredBefore, forgotten: 0 };
    } catch (error) {
      reply({ type: 'unavailable', id: request.id, reason: describe(error) });
    }
  }

  function runPruning(): void {
    if (pruning === null) return;
    const { forgotten, done } = store.pruneChunk(pruning.deliveredBefore);
    pruning.forgotten += forgotten;
    // A shutdown does not wait for the rest, which the next prune forgets.
    if (!done && closing === null) return;
    reply({ type: 'answer', id: pruning.id, value: pruning.forgotten });
    pruning = null;
  }

  function drainPort(): void {
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      accept(next.message as Request);
    }
  }

  const isIdle = () => puts.length + settles.length + others.length === 0 && pruning === null;

  port.on('message', (request: Request) => {
    accept(request);
    for (drainPort(); !isIdle(); drainPort()) {
      runPuts();
      runSettles();
      runOther();
      runPruning();
    }
    if (closing === null) return;
    store.close();
    answer<'close'>(closing, null);
    port.close();
  });
}

function start(port: MessagePort, settings: WorkerSettings): void {
  const reply = (message: Reply) => port.postMessage(message);
  try {
    const { db, damagedFile } = openDatabase(settings.dataDir, settings.now);
    const store = createStore(db, settings.maxBytes);
    serve(port, store);
    reply({ type: 'opened', damagedFile });
  } catch (error) {
    const { code, message } = toStartError(error, settings.dataDir);
    reply({ type: 'open_failed', code, message });
  }
}

if (parentPort !== null) start(parentPort, workerData as WorkerSettings);
