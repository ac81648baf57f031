import { documentedEvents } from '../events.ts';
import { closedLoop } from '../load.ts';
import { type Azure, drained, type Receiver, startBaseline, startService } from '../processes.ts';
import { costOfEach, type ProcessorTime, processorTime } from '../processor-time.ts';
import type { Figure } from '../result.ts';
import { median } from '../statistics.ts';
import { warmUp } from '../warm-up.ts';

/** Each with new processes, ... */
const ROUNDS = 2;
/** ... which are measured in turn: what the machine does meanwhile hits all of them. */
const TURNS = 2;
const CONNECTIONS = 64;
const WARM_UP_MS = 8_000;
/** They have less to compile. */
const WARM_UP_BASELINE_MS = 4_000;
/** Until as much is delivered as comes, and the heap is as large again as it was before it had nothing to do. */
const LEAD_IN_MS = 3_000;
const LEAD_IN_BASELINE_MS = 500;
const MEASURED_MS = 2_000;
const SCENARIO = `1. Acknowledged webhooks a second (${CONNECTIONS} connections, Azure answers after 50 ms)`;

const baselines = [
  { key: 'express', name: '(a) bare Express, express.json' },
  { key: 'awaits-upload', name: '(b) proxy that awaits upload()' },
  { key: 'http', name: '(c) node:http' },
] as const;

type Key = (typeof baselines)[number]['key'] | 'service';

/** What its threads use, in the order of the table. */
const threadGroups = [
  { key: 'allMs', name: 'all threads' },
  { key: 'mainMs', name: 'main thread' },
  { key: 'outboxMs', name: 'outbox thread' },
  { key: 'restMs', name: 'the rest' },
] as const;

interface Run {
  readonly perSecond: number;
  /** Of one webhook. */
  readonly cost: ProcessorTime | null;
}

/** Of one turn. */
type Turn = Readonly<Record<Key, Run>>;

export async function measureThroughput(azure: Azure): Promise<{ figures: Figure[]; perSecond: number }> {
  const turns: Turn[] = [];
  for (let round = 0; round < ROUNDS; round++) turns.push(...(await measureRound(azure, round)));
  const middle = (key: Key): number => median(turns.map((turn) => turn[key].perSecond));
  const against = (key: Key): number => median(turns.map((turn) => turn.service.perSecond / turn[key].perSecond));
  const perSecond = middle('service');
  const figures: Figure[] = [
    {
      scenario: SCENARIO,
      name: 'apono-sentinel, durable',
      value: perSecond,
      unit: '/s',
      ratio: against('express'),
      against: '(a)',
      note: `${against('awaits-upload').toFixed(1)} × (b), ${against('http').toFixed(2)} × (c)`,
    },
    ...baselines.map(({ key, name }) => ({ scenario: SCENARIO, name, value: middle(key), unit: '/s' })),
    ...costFigures(turns),
  ];
  return { figures, perSecond };
}

/** Processor time a webhook: steadier than throughput, where generator, Azure and service share the processors. */
function costFigures(turns: readonly Turn[]): Figure[] {
  const middle = (key: Key, group: keyof ProcessorTime): number | null => {
    const costs = turns.flatMap((turn) => turn[key].cost ?? []);
    return costs.length > 0 ? median(costs.map((cost) => cost[group])) : null;
  };
  const express = middle('express', 'allMs');
  const figure = (name: string, valueMs: number | null): Figure => ({
    scenario: SCENARIO,
    name: `processor time a webhook, ${name}`,
    value: valueMs === null ? null : valueMs * 1000,
    unit: 'µs',
    ...(valueMs === null && { note: 'there is no /proc here' }),
  });
  return [
    ...threadGroups.map(({ key, name }) => {
      const valueMs = middle('service', key);
      const compared = valueMs !== null && express !== null && { ratio: valueMs / express, against: 'all of (a)' };
      return { ...figure(name, valueMs), ...compared };
    }),
    figure('all of (a)', express),
  ];
}

async function measureRound(azure: Azure, round: number): Promise<Turn[]> {
  const service = await startService(azure);
  const others = {
    express: await startBaseline('express', azure),
    'awaits-upload': await startBaseline('awaits-upload', azure),
    http: await startBaseline('http', azure),
  };
  for (const { key } of baselines) await warmUp(others[key].target, `${key}-${round}`, WARM_UP_BASELINE_MS);
  await warmUp(service.target, `service-${round}`, WARM_UP_MS);
  await drained(service);
  const turns: Turn[] = [];
  while (turns.length < TURNS) {
    const run = `${round}-${turns.length}`;
    turns.push({
      'awaits-upload': await measure(`awaits-upload-${run}`, others['awaits-upload'], LEAD_IN_BASELINE_MS),
      http: await measure(`http-${run}`, others.http, LEAD_IN_BASELINE_MS),
      express: await measure(`express-${run}`, others.express, LEAD_IN_BASELINE_MS),
      service: await measure(`service-${run}`, service, LEAD_IN_MS),
    });
    // What is not delivered yet would take the processors from the next one.
    await drained(service);
  }
  for (const receiver of [service, ...Object.values(others)]) await receiver.stop();
  return turns;
}

async function measure(run: string, receiver: Receiver, leadInMs: number): Promise<Run> {
  await load(`${run}-lead-in`, receiver, leadInMs);
  const before = await processorTime(receiver.pid);
  const { latenciesMs, durationMs } = await load(run, receiver, MEASURED_MS);
  const after = await processorTime(receiver.pid);
  return {
    perSecond: (latenciesMs.length * 1000) / durationMs,
    cost: costOfEach(before, after, latenciesMs.length),
  };
}

function load(run: string, { target }: Receiver, durationMs: number) {
  return closedLoop(target, documentedEvents(run), { connections: CONNECTIONS, durationMs });
}
