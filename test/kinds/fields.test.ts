import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kinds } from '../../src/kinds/registry.ts';

/* A documented field of `data` is in the templates. Otherwise it is never sent. */

/** Its names are each customer's own, so that only a template with {{#each}} can print it. */
const ONLY_WITH_EACH = ['custom_fields'];

/** The probes of a template without {{#each}}, which sees that there is more than it can carry. */
const isProbe = (name: string): boolean => name.endsWith('_beyond');

for (const kind of kinds) {
  describe(`the fields of ${kind.name}`, () => {
    it('are in its templates', () => {
      const { plain, each } = kind.bodyTemplate;
      const missing = (text: string): string[] => kind.dataFields.filter((name) => !text.includes(`"${name}":`));
      assert.deepEqual(
        missing(plain.text()).filter((name) => !ONLY_WITH_EACH.includes(name)),
        [],
      );
      if (each !== null) {
        assert.deepEqual(
          missing(each.text()).filter((name) => !isProbe(name)),
          [],
        );
      }
    });
  });
}
