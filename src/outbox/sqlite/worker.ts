import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { openDatabase } from './database.ts';
import { toStartError } from './errors.ts';
import type { Reply, Requests, WorkerSettings } from './protocol.ts';
import { createStore, type Store } from './store.ts';
import { Turns } from './turns.ts';

/** The thread that owns the database, so that a slow sync holds up nobody's event loop. */

function serve(port: MessagePort, store: Store): void {
  const turns = new Turns(store, (reply) => port.postMessage(reply));

  // Whatever arrived during a commit belongs to the next turn: that is what makes groups of puts.
  function drainPort(): void {
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      turns.accept(next.message as Requests);
    }
  }

  port.on('message', (requests: Requests) => {
    turns.accept(requests);
    for (drainPort(); !turns.isIdle; drainPort()) turns.take();
    if (turns.closeIfAsked()) port.close();
  });
}

function start(port: MessagePort, settings: WorkerSettings): void {
  const reply = (message: Reply) => port.postMessage(message);
  try {
    const { db, damagedFile } = openDatabase(settings.dataDir, settings.now);
    serve(port, createStore(db, settings.maxBytes));
    reply({ type: 'opened', damagedFile });
  } catch (error) {
    const { code, message } = toStartError(error, settings.dataDir);
    reply({ type: 'open_failed', code, message });
  }
}

if (parentPort !== null) start(parentPort, workerData as WorkerSettings);
