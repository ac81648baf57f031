import { documentedEvents } from '../events.ts';
import { closedLoop } from '../load.ts';
import { type Azure, type Receiver, startBaseline, startService } from '../processes.ts';
import { costOfEach, type ProcessorTime, processorTime } from '../processor-time.ts';
import type { Figure } from '../result.ts';
import { median } from '../statistics.ts';
import { warmUp } from '../warm-up.ts';

const ROUNDS = 3;
const CONNECTIONS = 64;
const WARM_UP_MS = 8_000;
/** They have less to compile. */
const WARM_UP_BASELINE_MS = 4_000;
const MEASURED_MS = 3_000;
const SCENARIO = `1. Acknowledged webhooks a second (${CONNECTIONS} connections, Azure answers after 50 ms)`;

const baselines = [
  { key: 'express', name: '(a) bare Express, express.json' },
  { key: 'awaits-upload', name: '(b) proxy that awaits upload()' },
  { key: 'http', name: '(c) node:http' },
] as const;

/** What its threads use, in the order of the table. */
const threadGroups = [
  { key: 'allMs', name: 'all threads' },
  { key: 'mainMs', name: 'main thread' },
  { key: 'outboxMs', name: 'outbox thread' },
  { key: 'readingMs', name: 'reading thread' },
  { key: 'restMs', name: 'the rest' },
] as const;

interface Run {
  readonly perSecond: number;
  /** Of one webhook. What is delivered meanwhile is as much as what comes, since the load has gone on for a while. */
  readonly cost: ProcessorTime | null;
}

type Runs = ReadonlyMap<string, readonly Run[]>;

/** In turn, so that what the machine does meanwhile hits all of them. */
export async function measureThroughput(azure: Azure): Promise<{ figures: Figure[]; perSecond: number }> {
  const runs = new Map<string, Run[]>();
  const add = async (key: string, round: number, receiver: Receiver): Promise<void> => {
    const run = `${key}-${round}`;
    await warmUp(receiver.target, run, key === 'service' ? WARM_UP_MS : WARM_UP_BASELINE_MS);
    runs.set(key, [...(runs.get(key) ?? []), await measure(run, receiver)]);
  };
  for (let round = 0; round < ROUNDS; round++) {
    for (const { key } of baselines) await add(key, round, await startBaseline(key, azure));
    await add('service', round, await startService(azure));
  }
  const middle = (key: string): number => median((runs.get(key) ?? []).map(({ perSecond }) => perSecond));
  const perSecond = middle('service');
  const figures: Figure[] = [
    {
      scenario: SCENARIO,
      name: 'apono-sentinel, durable',
      value: perSecond,
      unit: '/s',
      ratio: perSecond / middle('express'),
      against: '(a)',
      note: `${(perSecond / middle('awaits-upload')).toFixed(1)} × (b), ${(perSecond / middle('http')).toFixed(2)} × (c)`,
    },
    ...baselines.map(({ key, name }) => ({ scenario: SCENARIO, name, value: middle(key), unit: '/s' })),
    ...costFigures(runs),
  ];
  return { figures, perSecond };
}

/** Processor time a webhook: steadier than throughput, where generator, Azure and service share the processors. */
function costFigures(runs: Runs): Figure[] {
  const middle = (key: string, group: keyof ProcessorTime): number | null => {
    const costs = (runs.get(key) ?? []).flatMap(({ cost }) => cost ?? []);
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

async function measure(run: string, receiver: Receiver): Promise<Run> {
  const before = await processorTime(receiver.pid);
  const { latenciesMs, durationMs } = await closedLoop(receiver.target, documentedEvents(run), {
    connections: CONNECTIONS,
    durationMs: MEASURED_MS,
  });
  const after = await processorTime(receiver.pid);
  await receiver.stop();
  return {
    perSecond: (latenciesMs.length * 1000) / durationMs,
    cost: costOfEach(before, after, latenciesMs.length),
  };
}
