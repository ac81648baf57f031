import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Finished, hasImage, image, mustRun, pinnedImage, repository, run } from './docker.ts';

/** As a command line: the generation that is installed, the newer one first. */
export async function composeGenerations(): Promise<readonly string[][]> {
  const generations = [['docker', 'compose'], ['docker-compose']];
  const answers = await Promise.all(
    generations.map(([program = '', ...args]) =>
      run(program, [...args, 'version']).then(
        ({ exitCode }) => exitCode === 0,
        () => false,
      ),
    ),
  );
  const installed = generations.filter((_, index) => answers[index]);
  if (installed.length === 0) throw new Error('neither `docker compose` nor `docker-compose` is installed');
  return installed;
}

/** Caddy's image as the compose file pins it, or a stand-in where it can neither be found nor pulled. */
export function caddyImage(name: string): Promise<string> {
  return imageOrStandIn(name, 'caddy');
}

/** The same of PostgreSQL. */
export function postgresImage(name: string): Promise<string> {
  return imageOrStandIn(name, 'postgres');
}

async function imageOrStandIn(name: string, folder: string): Promise<string> {
  const pinned = pinnedImage(name);
  if (await hasImage(pinned)) return pinned;
  const standIn = `apono-sentinel-${folder}:test`;
  await mustRun('docker', ['build', '--tag', standIn, `test/image/${folder}`]);
  return standIn;
}

export interface Composed {
  readonly folder: string;
  compose(...args: readonly string[]): Promise<Finished>;
  mustCompose(...args: readonly string[]): Promise<string>;
  /** Ends it, and removes its volumes, networks and files. */
  remove(): Promise<void>;
}

export interface ComposeInput {
  readonly generation: readonly string[];
  readonly caddy: string;
  readonly secret: string;
  /** Lines of .env. */
  readonly dotEnv: readonly string[];
  /** Names that the service would ask in the internet; they lead to itself, where nobody answers. */
  readonly unreachable: readonly string[];
}

/** The compose file as it is, in a folder of its own: the .env and the secrets beside the real one are not touched. */
export async function makeComposed(input: ComposeInput): Promise<Composed> {
  const folder = await mkdtemp(join(tmpdir(), 'apono-sentinel-compose-'));
  await cp(join(repository, 'docker-compose.yml'), join(folder, 'docker-compose.yml'));
  await cp(join(repository, 'deploy'), join(folder, 'deploy'), { recursive: true });
  await writeFile(join(folder, '.env'), input.dotEnv.map((line) => `${line}\n`).join(''));
  await mkdir(join(folder, 'secrets'));
  await writeFile(join(folder, 'secrets', 'apono_webhook_secret'), `${input.secret}\n`, { mode: 0o644 });
  await writeFile(join(folder, 'secrets', 'azure_client_secret'), 'not a real client secret\n', { mode: 0o644 });
  const override = {
    services: {
      sentinel: { image, extra_hosts: input.unreachable.map((name) => `${name}:127.0.0.1`) },
      caddy: { image: input.caddy },
    },
  };
  // JSON is YAML. Both generations read a file of this name by themselves.
  await writeFile(join(folder, 'docker-compose.override.yml'), JSON.stringify(override));

  const [program = '', ...args] = [...input.generation, '--project-name', 'apono-sentinel-image-test'];
  const options = { cwd: folder };
  const composed: Composed = {
    folder,
    compose: (...more) => run(program, [...args, ...more], options),
    mustCompose: (...more) => mustRun(program, [...args, ...more], options),
    async remove() {
      await composed.mustCompose('down', '--volumes', '--remove-orphans', '--timeout', '40');
      await rm(folder, { recursive: true, force: true });
    },
  };
  return composed;
}
