import assert from 'node:assert/strict';
import { cp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tempFolder } from '../../outbox/sqlite-fixture.ts';

/** The access flow of each row that the other version makes. */
export const OTHER_FLOW = 'other version';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/**
 * The main.ts of a copy of this version whose mapper makes other rows of a request: each unit twice, in the reverse
 * order, and with another name of the access flow.
 */
export async function otherVersion(t: TestContext): Promise<string> {
  const folder = tempFolder();
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const name of ['src', 'schemas', 'package.json']) {
    await cp(path.join(root, name), path.join(folder, name), { recursive: true });
  }
  await symlink(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
  const file = path.join(folder, 'src/kinds/request.ts');
  const source = await readFile(file, 'utf8');
  const changed = replaced(
    replaced(
      replaced(source, '= groups.flatMap(', '= [...groups, ...groups].flatMap('),
      '({ group, unit })));',
      '({ group, unit }))).reverse();',
    ),
    'shared: sharedColumns(event, data, units.length),',
    `shared: { ...sharedColumns(event, data, units.length), access_flow_name: '${OTHER_FLOW}' },`,
  );
  await writeFile(file, changed);
  return path.join(folder, 'src/main.ts');
}

function replaced(text: string, part: string, by: string): string {
  assert.ok(text.includes(part), `the mapper has the lines ${part}`);
  return text.replace(part, by);
}
