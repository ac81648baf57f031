import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isoDuration } from '../../deploy/generate/content/durations.ts';
import { expression, literal, quoted } from '../../deploy/generate/expression.ts';
import { formatJson, type Json } from '../../deploy/generate/json.ts';
import { ruleKey } from '../../deploy/generate/names.ts';
import { type ArmTemplate, deploy } from './arm/deploy.ts';

/** What Resource Manager makes of the value of a property. */
function asDeployed(value: string): unknown {
  const template: ArmTemplate = {
    $schema: '',
    contentVersion: '1.0.0.0',
    parameters: {},
    resources: [],
    outputs: { value: { type: 'string', value } },
  };
  return deploy(template, {}).outputs['value'];
}

const anyText = fc.string({ unit: fc.constantFrom(...'[]\'"\\\n{}(),.aZ0é ') });

describe('text in a template', () => {
  it('property: arrives as it is, whatever it holds', () => {
    fc.assert(fc.property(anyText, (text) => assert.equal(asDeployed(literal(text)), text)));
    assert.equal(asDeployed(literal("[concat('a', 'b')]")), "[concat('a', 'b')]");
    assert.equal(asDeployed("[concat('a', 'b')]"), 'ab');
  });

  it('property: arrives as it is inside an expression', () => {
    fc.assert(
      fc.property(anyText, anyText, (a, b) =>
        assert.equal(asDeployed(expression(`concat(${quoted(a)}, ${quoted(b)})`)), a + b),
      ),
    );
  });

  it('is refused in an expression that Azure would refuse for its length', () => {
    assert.doesNotThrow(() => expression(quoted('x'.repeat(24_572))));
    assert.throws(() => expression(quoted('x'.repeat(24_573))), /24577 characters/);
  });
});

describe('a generated JSON file', () => {
  it('property: says the value that it was made of, and ends with a line', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = formatJson(value as Json);
        // Through text, since JSON has no -0.
        assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
        assert.ok(text.endsWith('\n'));
      }),
    );
  });

  it('has a column in a line', () => {
    const columns = Array.from({ length: 4 }, (_, index) => ({ name: `a_rather_long_name_${index}`, type: 'string' }));
    assert.equal(formatJson({ columns }).split('\n').length, 9);
  });
});

it('durations are those of Resource Manager', () => {
  assert.deepEqual(['5m', '47h', '14d', 'PT1H'].map(isoDuration), ['PT5M', 'PT47H', 'P14D', 'PT1H']);
});

it('the parameters of a rule are named after its file', () => {
  assert.deepEqual(['SelfApproval.yaml', 'AponoSelf-approval of requests.yaml'].map(ruleKey), [
    'selfApproval',
    'selfApprovalOfRequests',
  ]);
});
