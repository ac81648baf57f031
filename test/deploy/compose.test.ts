import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { repository } from './support.ts';

const read = (file: string): string => readFileSync(repository + file, 'utf8');
const composeFiles = ['docker-compose.yml', 'deploy/compose.scale.yml'];

interface Service {
  readonly image: string;
  readonly build?: { readonly args: { readonly BASE_IMAGE: string } };
  readonly environment?: Readonly<Record<string, string | null>>;
  readonly volumes?: readonly string[];
}

function services(file: string): readonly Service[] {
  const parsed = parse(read(file), { merge: true }) as { readonly services: Readonly<Record<string, Service>> };
  return Object.values(parsed.services);
}

describe('the images that the files name', () => {
  const pinned = /^[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}$/;
  const [, base = ''] = /^ARG BASE_IMAGE=(\S+)$/m.exec(read('Dockerfile')) ?? [];

  it('are pinned by digest: the base of the image, and what compose starts beside it', () => {
    assert.match(base, pinned);
    const stages = [...read('Dockerfile').matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
    assert.deepEqual(stages, [`\${BASE_IMAGE}`, `\${BASE_IMAGE}`]);
    for (const file of composeFiles) {
      for (const { image, build } of services(file)) {
        if (build === undefined) assert.match(image, pinned, file);
        else assert.equal(build.args.BASE_IMAGE, `\${BASE_IMAGE:-${base}}`, file);
      }
    }
  });

  it('have one digest in all files', () => {
    const digests = new Map<string, string>();
    for (const file of ['Dockerfile', ...composeFiles]) {
      for (const [, name = '', digest = ''] of read(file).matchAll(/([a-z]+:[\w.-]+)@(sha256:[0-9a-f]+)/g)) {
        assert.equal(digests.get(name) ?? digest, digest, `${name} in ${file}`);
        digests.set(name, digest);
      }
    }
    assert.deepEqual([...digests.keys()].sort(), ['caddy:2', 'node:24-bookworm-slim', 'postgres:18']);
  });
});

it('compose passes NODE_EXTRA_CA_CERTS on and mounts the file that it names', () => {
  const mount = `\${NODE_EXTRA_CA_CERTS:-/dev/null}:\${NODE_EXTRA_CA_CERTS:-/run/no-extra-ca-certs}:ro`;
  for (const file of composeFiles) {
    const ours = services(file).filter(({ build }) => build !== undefined);
    assert.ok(ours.length > 0, file);
    for (const { environment, volumes } of ours) {
      assert.equal(environment?.['NODE_EXTRA_CA_CERTS'], null, `${file}: the value of .env, or none`);
      assert.ok(volumes?.includes(mount), file);
    }
  }
});
