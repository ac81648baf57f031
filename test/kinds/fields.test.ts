import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { templateText } from '../../src/kinds/body-template.ts';
import { kinds } from '../../src/kinds/registry.ts';

/* A documented field of `data` is in the templates. Otherwise it is never sent. */

/** Its names are each customer's own, so that only a template with {{#each}} can print it. */
const ONLY_WITH_EACH = ['custom_fields'];

/** The probes of a template without {{#each}}, which sees that there is more than it can carry. */
const isProbe = (name: string): boolean => name.endsWith('_beyond');

for (const kind of kinds) {
  describe(`the fields of ${kind.name}`, () => {
    it('are in its templates', () => {
      const missing = (text: string): string[] => kind.dataFields.filter((name) => !text.includes(`"${name}":`));
      assert.deepEqual(
        missing(templateText(kind.name)).filter((name) => !ONLY_WITH_EACH.includes(name)),
        [],
      );
      if (kind.bodyTemplate.eachNotes !== undefined) {
        assert.deepEqual(
          missing(templateText(kind.name, true)).filter((name) => !isProbe(name)),
          [],
        );
      }
    });
  });
}
