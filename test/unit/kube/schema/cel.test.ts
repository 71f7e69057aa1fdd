/** CEL rules of a schema, in cases that the conformance suite does not have. */
import assert from 'node:assert/strict';
import { ruleProblems, runRules } from '../../../../kube/schema/cel.ts';
import type { OpenApiSchema } from '../../../../kube/schema/schema.ts';

const schema = (rule: string, more: Partial<OpenApiSchema> = {}): OpenApiSchema => ({
  type: 'object',
  properties: {
    name: { type: 'string' },
    count: { type: 'integer' },
    share: { type: 'number' },
    'x-y': { type: 'string' },
    items: { type: 'array', items: { type: 'object', properties: { weight: { type: 'integer' } } } },
    map: { type: 'object', additionalProperties: { type: 'integer' } },
    either: { 'x-kubernetes-int-or-string': true },
    when: { type: 'string', format: 'date-time' },
    free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  },
  'x-kubernetes-validations': [{ rule }],
  ...more,
});

describe('ruleProblems', () => {
  for (const rule of [
    "self.name == 'a'",
    'self.count + 1 > 2',
    'self.share < 0.5',
    "self.x__dash__y == 'a'",
    'self.items.all(i, i.weight > 0)',
    'self.map.all(k, self.map[k] > 0)',
    'self == oldSelf',
    'type(self.either) == int',
    "self.when < timestamp('2026-01-01T00:00:00Z')",
    'self.free.any.thing == 1',
    'self.items[0].weight == 1',
    "self.?name.orValue('x') == 'x'",
  ]) {
    it(`finds none in ${rule}`, () => assert.deepEqual(ruleProblems(schema(rule), 'p'), []));
  }
  const rows: readonly (readonly [rule: string, problem: RegExp])[] = [
    ['self.nothing == 1', /undefined field 'nothing'/],
    ['self.items[0].hight == 1', /undefined field 'hight'/],
    ['self.name.unheardOf()', /compilation failed/],
    ['unheardOf(self)', /compilation failed/],
    ["'a' + 'b'", /must evaluate to a bool/],
    ['self.name ==', /compilation failed/],
    ['1 + "a" == 2', /compilation failed/],
  ];
  for (const [rule, problem] of rows)
    it(`refuses ${rule}`, () => assert.match(ruleProblems(schema(rule), 'p')[0]?.message ?? '', problem));
});

describe('runRules', () => {
  const rows: readonly (readonly [rule: string, value: object, holds: boolean])[] = [
    ['self.count + 1 > 2', { count: 2 }, true],
    ['self.count + 1 > 2', { count: 1 }, false],
    ['self.share < 0.5', { share: 0.25 }, true],
    ['self.share < 0.5', { share: 1 }, false],
    ["self.x__dash__y == 'a'", { 'x-y': 'a' }, true],
    ['self.items.map(i, i.weight).isSorted()', { items: [{ weight: 1 }, { weight: 2 }] }, true],
    ['self.items.map(i, i.weight).isSorted()', { items: [{ weight: 2 }, { weight: 1 }] }, false],
    ['self.items.map(i, i.weight).sum() == 3', { items: [{ weight: 2 }, { weight: 1 }] }, true],
    ['self.items.map(i, i.weight).max() == 2', { items: [{ weight: 2 }, { weight: 1 }] }, true],
    ["self.map.all(k, self.map[k] > 0) && 'a' in self.map", { map: { a: 1 } }, true],
    ["self.when > timestamp('2026-01-01T00:00:00Z')", { when: '2026-02-01T00:00:00Z' }, true],
    ["self.name.find('[0-9]+') == '12'", { name: 'a12b' }, true],
    ["quantity(self.name).compareTo(quantity('1Gi')) > 0", { name: '2Gi' }, true],
    ['isQuantity(self.name)', { name: 'lots' }, false],
  ];
  for (const [rule, value, holds] of rows)
    it(`${holds ? 'passes' : 'fails'} ${JSON.stringify(value)} by ${rule}`, () =>
      assert.equal(runRules(value, schema(rule), '', undefined).length, holds ? 0 : 1));

  it('turns a rule that cannot be run into a failure', () => {
    assert.match(runRules({}, schema('self.count > 1'), '', undefined)[0]?.message ?? '', /evaluating rule/);
  });

  it('runs a rule with oldSelf only when there is an old value', () => {
    const fixed = schema('self.count == oldSelf.count');
    assert.equal(runRules({ count: 1 }, fixed, '', undefined).length, 0);
    assert.equal(runRules({ count: 1 }, fixed, '', { count: 2 }).length, 1);
  });

  it('skips unchanged values', () => {
    assert.equal(runRules({ count: 1 }, schema('self.count > 2'), '', { count: 1 }).length, 0);
  });

  it('falls back to the fixed message when the messageExpression fails', () => {
    const failing = schema('', {
      'x-kubernetes-validations': [{ rule: 'false', message: 'fixed', messageExpression: 'self.nothing.at.all' }],
    });
    assert.equal(runRules({}, failing, 'spec', undefined)[0]?.message, 'Invalid value: fixed');
  });
});

describe('a rule with an optional oldSelf', () => {
  const named = {
    type: 'object',
    properties: { name: { type: 'string' }, count: { type: 'integer' } },
    'x-kubernetes-validations': [
      { rule: "oldSelf.hasValue() || self.name != 'taken'", message: 'taken', optionalOldSelf: true },
    ],
  } as unknown as OpenApiSchema;

  it('runs on creation', () => {
    assert.equal(runRules({ name: 'taken', count: 1 }, named, '', undefined).length, 1);
    assert.deepEqual(runRules({ name: 'free', count: 1 }, named, '', undefined), []);
  });

  it('accepts the value that was there before', () =>
    assert.deepEqual(runRules({ name: 'taken', count: 2 }, named, '', { name: 'taken', count: 1 }), []));
});
