import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe } from 'node:test';
import type { ClaimedRows, ClaimRequest, Engine } from '../../src/outbox/engine.ts';
import { OutboxUnavailableError } from '../../src/outbox/port.ts';
import type { Store } from '../../src/outbox/store.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import { claimContract } from './contract-claim.ts';
import { lifeContract } from './contract-life.ts';
import { operatorContract } from './contract-operator.ts';
import { putContract } from './contract-put.ts';
import { modelContract } from './model.ts';

/** A store, and the engine below it, whose claims are not joined into calls. */
export interface TestStore extends Store {
  readonly engine: Engine;
}

/** One open store of an engine. */
export interface OutboxFixture {
  /** The one that is open now; another object after `reopen`. */
  readonly outbox: TestStore;
  readonly clock: ManualClock;
  /** Closes it and opens it again, as a restart of the process does. */
  reopen(): Promise<void>;
  cleanup(): Promise<void>;
}

export interface FixtureOptions {
  /** OUTBOX_MAX_BYTES; without it, large enough for every test. */
  readonly maxBytes?: number;
}

export type OpenFixture = (options?: FixtureOptions) => Promise<OutboxFixture>;

/** What the suites see of the fixture of their test. */
export interface Subject {
  readonly fixture: OutboxFixture;
  readonly outbox: TestStore;
  readonly clock: ManualClock;
  readonly open: OpenFixture;
}

/** What port.ts promises, whatever the engine. */
export function outboxContract(name: string, open: OpenFixture): void {
  describe(`outbox contract: ${name}`, () => {
    let fixture: OutboxFixture | null = null;
    const subject: Subject = {
      get fixture() {
        assert(fixture !== null);
        return fixture;
      },
      get outbox() {
        return this.fixture.outbox;
      },
      get clock() {
        return this.fixture.clock;
      },
      open,
    };
    beforeEach(async () => {
      fixture = await open();
    });
    afterEach(async () => {
      await fixture?.cleanup();
      fixture = null;
    });
    putContract(subject);
    claimContract(subject);
    lifeContract(subject);
    operatorContract(subject);
  });
  modelContract(name, open);
}

/** Claims as much as there is, of the kind that samples.ts makes. */
export function claimAll(
  { engine }: Pick<TestStore, 'engine'>,
  over: Partial<ClaimRequest> = {},
): Promise<readonly ClaimedRows[]> {
  const all = { kind: 'request', maxEvents: 10_000, maxBytes: Number.MAX_SAFE_INTEGER, except: [], only: null };
  return engine.claim({ ...all, ...over });
}

export async function claimOne(outbox: Pick<TestStore, 'engine'>): Promise<ClaimedRows> {
  const [claimed] = await claimAll(outbox, { maxEvents: 1 });
  assert(claimed !== undefined, 'an event should be there to be claimed');
  return claimed;
}

export const ids = (events: readonly ClaimedRows[]): string[] => events.map((claimed) => claimed.eventId);

export const isUnavailable = (error: unknown): boolean => error instanceof OutboxUnavailableError;
