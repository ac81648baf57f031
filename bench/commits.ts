import type { Service } from './processes.ts';

/** What services put into their outboxes, by their own metrics, since they began. */
export interface Commits {
  readonly commits: number;
  readonly webhooks: number;
  /** Of all commits together; each from its begin to the end of its sync. */
  readonly totalMs: number;
}

export async function readCommits(services: readonly Service[]): Promise<Commits> {
  const texts = await Promise.all(services.map((service) => service.get(service.adminPort, '/metrics')));
  const total = (name: string): number =>
    texts
      .flatMap((text) => text.split('\n'))
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  return {
    commits: total('apono_sentinel_outbox_commit_duration_seconds_count'),
    webhooks: total('apono_sentinel_outbox_commit_group_puts_sum'),
    totalMs: total('apono_sentinel_outbox_commit_duration_seconds_sum') * 1000,
  };
}
