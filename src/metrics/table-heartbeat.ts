import type { MetricSpecs } from './spec.ts';

export const heartbeatMetrics = {
  heartbeats: {
    name: 'apono_sentinel_heartbeats_total',
    type: 'counter',
    unit: 'tries',
    part: 'Heartbeat',
    help: 'Tries to send a row about the service itself: delivered, failed for a reason that passes (retry), or for one that a person has to look at (hold). None where HEARTBEAT_INTERVAL_MINUTES is 0.',
    labels: [{ outcome: ['delivered', 'retry', 'hold'] }],
  },
  lastHeartbeat: {
    name: 'apono_sentinel_last_heartbeat_timestamp_seconds',
    type: 'gauge',
    unit: 'seconds since the epoch',
    part: 'Heartbeat',
    help: 'When Azure last took such a row; 0: not since the start.',
    labels: [{}],
  },
} as const satisfies MetricSpecs;
