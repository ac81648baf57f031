import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type Azure, residentBytes, startBaseline, startService } from '../processes.ts';
import type { Figure } from '../result.ts';
import { median } from '../statistics.ts';

const ROUNDS = 3;
const SCENARIO = '6. Footprint';

export async function measureFootprint(azure: Azure): Promise<Figure[]> {
  const starts: Record<'service' | 'express', number[]> = { service: [], express: [] };
  const memory: Record<'service' | 'express', number[]> = { service: [], express: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const key of ['express', 'service'] as const) {
      const receiver = key === 'service' ? await startService(azure) : await startBaseline('express', azure);
      starts[key].push(receiver.startMs);
      const bytes = await residentBytes(receiver);
      if (bytes !== null) memory[key].push(bytes / 2 ** 20);
      await receiver.stop();
    }
  }
  const compared = (name: string, of: typeof starts, unit: string): Figure => ({
    scenario: SCENARIO,
    name,
    value: of.service.length > 0 ? median(of.service) : null,
    unit,
    ...(of.service.length > 0 && { ratio: median(of.service) / median(of.express), against: 'bare Express' }),
  });
  return [compared('start to ready', starts, 'ms'), compared('memory when ready', memory, 'MiB'), await imageSize()];
}

async function imageSize(): Promise<Figure> {
  const figure = { scenario: SCENARIO, name: 'image apono-sentinel', unit: 'MiB' };
  try {
    const args = ['image', 'inspect', 'apono-sentinel', '--format', '{{.Size}}'];
    const { stdout } = await promisify(execFile)('docker', args, { timeout: 10_000 });
    return { ...figure, value: Number(stdout.trim()) / 2 ** 20 };
  } catch {
    return { ...figure, value: null, note: 'no image of that name here: docker build -t apono-sentinel .' };
  }
}
