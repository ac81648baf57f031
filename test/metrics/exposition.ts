import assert from 'node:assert/strict';

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** What Prometheus reads out of its text format; fails on a line that it would not read. */
export class Exposition {
  readonly families: ReadonlyMap<string, Family>;

  constructor(text: string) {
    assert.ok(text.endsWith('\n'), 'the text ends with a line feed');
    const families = new Map<string, Family & { samples: Sample[] }>();
    let current: (Family & { samples: Sample[] }) | null = null;
    let help = '';
    for (const line of text.split('\n').filter((each) => each !== '')) {
      const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
      if (keyword === 'HELP') {
        help = rest;
      } else if (keyword === 'TYPE') {
        assert.ok(!families.has(name), `${name} comes twice`);
        current = { name, type: rest, help, samples: [] };
        families.set(name, current);
      } else {
        const sample = sampleOf(line);
        assert.ok(current !== null && belongsTo(sample.name, current), `${line} stands below another metric`);
        current.samples.push(sample);
      }
    }
    this.families = families;
  }

  get samples(): Sample[] {
    return [...this.families.values()].flatMap(({ samples }) => samples);
  }

  /** Of the one series with exactly these labels; undefined where there is none. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    return this.samples.find((sample) => sample.name === name && sameLabels(sample.labels, labels))?.value;
  }

  /** Of all series of a name that have these labels, whatever others they have. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const matching = this.samples.filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
    assert.notEqual(matching.length, 0, `there is no ${name} ${JSON.stringify(labels)}`);
    return matching.reduce((sum, { value }) => sum + value, 0);
  }

  /** The series of a name that are not 0, as `label=value,…` with its value. */
  nonZero(name: string): Record<string, number> {
    const samples = this.samples.filter((sample) => sample.name === name && sample.value !== 0);
    return Object.fromEntries(samples.map(({ labels, value }) => [textOf(labels), value]));
  }
}

export function textOf(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([label, value]) => `${label}=${value}`)
    .sort()
    .join(',');
}

function sampleOf(line: string): Sample {
  const [, name = '', labels = '', value = ''] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
  assert.notEqual(name, '', `not a sample: ${line}`);
  const number = value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value);
  assert.ok(!Number.isNaN(number), `not a number: ${line}`);
  const pairs = [...labels.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"(?:,|$)/g)];
  assert.equal(pairs.map(([whole]) => whole).join(''), labels, `labels that cannot be read: ${line}`);
  return { name, labels: Object.fromEntries(pairs.map(([, label, text]) => [label, text])), value: number };
}

function belongsTo(sampleName: string, { name, type }: Family): boolean {
  const suffixes = type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
  return suffixes.some((suffix) => sampleName === name + suffix);
}

function sameLabels(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  return textOf(a) === textOf(b);
}
