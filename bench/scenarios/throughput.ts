import { documentedEvents } from '../events.ts';
import { closedLoop } from '../load.ts';
import { type Azure, type Receiver, startBaseline, startService } from '../processes.ts';
import type { Figure } from '../result.ts';
import { median } from '../statistics.ts';

const ROUNDS = 3;
const CONNECTIONS = 64;
const WARM_UP_MS = 1_500;
const MEASURED_MS = 3_000;
const SCENARIO = `1. Acknowledged webhooks a second (${CONNECTIONS} connections, Azure answers after 50 ms)`;

const baselines = [
  { key: 'express', name: '(a) bare Express, express.json' },
  { key: 'awaits-upload', name: '(b) proxy that awaits upload()' },
  { key: 'http', name: '(c) node:http' },
] as const;

/** In turn, so that what the machine does meanwhile hits all of them. */
export async function measureThroughput(azure: Azure): Promise<{ figures: Figure[]; perSecond: number }> {
  const results = new Map<string, number[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const { key } of baselines) await measure(key, round, await startBaseline(key, azure), results);
    await measure('service', round, await startService(azure), results);
  }
  const middle = (key: string): number => median(results.get(key) ?? []);
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
  ];
  return { figures, perSecond };
}

async function measure(key: string, round: number, receiver: Receiver, results: Map<string, number[]>): Promise<void> {
  const load = (run: string, durationMs: number) =>
    closedLoop(receiver.target, documentedEvents(`${key}-${round}-${run}`), { connections: CONNECTIONS, durationMs });
  await load('warm', WARM_UP_MS);
  const { latenciesMs, durationMs } = await load('run', MEASURED_MS);
  await receiver.stop();
  results.set(key, [...(results.get(key) ?? []), (latenciesMs.length * 1000) / durationMs]);
}
