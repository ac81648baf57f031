import { readFileSync } from 'node:fs';
import path from 'node:path';
import { kinds, type RegisteredKind } from '../../src/kinds/registry.ts';
import type { GeneratedFiles } from './generate.ts';
import { renderEnvExample } from './variables.ts';

/** A list of the kinds' streams in files that are written by hand otherwise. The stream of the heartbeat is none of it. */
interface Place {
  /** By their path in deploy/. */
  readonly files: readonly string[];
  /** Matches all entries of the list at once. */
  readonly list: RegExp;
  readonly entry: (kind: RegisteredKind) => string;
}

const places: readonly Place[] = [
  {
    files: ['../docker-compose.yml'],
    list: /(?: {6}LOGS_INGESTION_STREAM(?!_HEARTBEAT)\w*:\n)+/,
    entry: ({ streamVariable }) => `      ${streamVariable}:\n`,
  },
  {
    files: ['compose.scale.yml'],
    list: /(?: {4}LOGS_INGESTION_STREAM(?!_HEARTBEAT)\w*:\n)+/,
    entry: ({ streamVariable }) => `    ${streamVariable}:\n`,
  },
  {
    files: ['helm/apono-sentinel/values.schema.json'],
    list: /(?: {8}"LOGS_INGESTION_STREAM(?!_HEARTBEAT)\w*": \{\n.*\n {8}\},\n)+/,
    entry: ({ streamVariable }) => `        "${streamVariable}": {\n          "type": "string"\n        },\n`,
  },
  {
    files: ['container-app.json'],
    list: /(?: {4}"logsIngestionStream(?!Heartbeat)\w*": \{\n(?: {6}.*\n)+ {4}\},\n)+/,
    entry: (kind) => `    "${parameterOf(kind)}": {
      "type": "string",
      "defaultValue": "${kind.defaultStream}",
      "metadata": {
        "description": "Stream of ${kind.description}; off: they are quarantined."
      }
    },
`,
  },
  {
    files: ['container-app.json'],
    list: /(?: {16}\{\n {18}"name": "LOGS_INGESTION_STREAM(?!_HEARTBEAT)\w*",\n.*\n {16}\},\n)+/,
    entry: (kind) => `                {
                  "name": "${kind.streamVariable}",
                  "value": "[parameters('${parameterOf(kind)}')]"
                },
`,
  },
];

/** LOGS_INGESTION_STREAM_AUDIT → logsIngestionStreamAudit */
function parameterOf({ streamVariable }: RegisteredKind): string {
  return streamVariable.toLowerCase().replaceAll(/_([a-z])/g, (_whole, letter: string) => letter.toUpperCase());
}

/** The files that list the kinds' streams, as they are in `folder` but for those lists; and .env.example. */
export function filesOfKinds(folder: string): GeneratedFiles {
  const files = new Map([['../.env.example', renderEnvExample()]]);
  for (const { files: names, list, entry } of places) {
    for (const name of names) {
      const text = files.get(name) ?? readFileSync(path.join(folder, name), 'utf8');
      if (!list.test(text)) throw new Error(`${name} has no list of streams any more`);
      // A function, since a text would have its `$` replaced.
      files.set(
        name,
        text.replace(list, () => kinds.map(entry).join('')),
      );
    }
  }
  return files;
}
