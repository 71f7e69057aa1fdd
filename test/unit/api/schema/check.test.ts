/** Checks of values by a schema, and their messages. */
import assert from 'node:assert/strict';
import { openApiSchema } from '../../../../api/onnxmodel.ts';
import { k, type AnySchema, type JsonSchema } from '../../../../api/schema/builder.ts';
import { checkOf, type UnknownFields } from '../../../../api/schema/check.ts';
import { c } from '../../../../api/schema/contract.ts';
import { inheritedNames } from '../../../support/inherited-names.ts';

const { MAX_SAFE_INTEGER: maxInteger } = Number;
const pair = k.object({ from: k.integer({ min: 0, max: 9 }), until: k.integer({ min: 0, max: 9 }).optional() });
const inOrder = c.ruled(pair, ({ from, until = 9 }) =>
  from <= until ? undefined : { path: '.until', problem: `is before ${from}` },
);
const source = c.variants({ File: { file: k.string({ max: 9 }) }, Seed: { seed: c.count() } });
const counts = c.table(c.count(), { keys: '^\\w{1,9}$', max: 2 });
const duration = c.text({ max: 9, pattern: '^[0-9]+s$', name: 'a duration such as 5s' });
const amount = c.named(k.intOrString('^[0-9]+(Mi)?$'), 'an amount of memory');

type Row = {
  readonly name: string;
  readonly schema: AnySchema;
  readonly value: unknown;
  /** The expected `path: problem`. Absent: the value is valid. */
  readonly says?: string;
  readonly unknown?: UnknownFields;
};

// prettier-ignore
const rows: readonly Row[] = [
  { name: 'takes an integer at its lower bound', schema: k.integer({ min: 1, max: 3 }), value: 1 },
  { name: 'takes an integer at its upper bound', schema: k.integer({ min: 1, max: 3 }), value: 3 },
  { name: 'refuses an integer below its range', schema: k.integer({ min: 1, max: 3 }), value: 0,
    says: ': 0 is not an integer from 1 to 3' },
  { name: 'refuses an integer above its range', schema: k.integer({ min: 1, max: 3 }), value: 4,
    says: ': 4 is not an integer from 1 to 3' },
  { name: 'refuses a fraction as a count', schema: c.count(), value: 0.5,
    says: ': 0.5 is not an integer of at least 0' },
  { name: 'refuses a count that is not exact', schema: c.count(), value: maxInteger + 1,
    says: ': 9007199254740992 is not an integer of at least 0' },
  { name: 'takes a fraction as a number', schema: c.number(), value: -0.5 },
  { name: 'refuses infinity', schema: c.number(), value: Infinity, says: ': Infinity is not a number' },
  { name: 'refuses NaN', schema: c.number({ min: 0 }), value: NaN, says: ': NaN is not a number of at least 0' },
  { name: 'refuses text as a number', schema: c.number(), value: '1', says: ': "1" is not a number' },
  { name: 'refuses a number that is not above its bound', schema: c.number({ above: 1 }), value: 1,
    says: ': 1 is not a number above 1' },
  { name: 'takes a number above its bound', schema: c.number({ above: 1 }), value: 1.02 },
  { name: 'takes null where null is allowed', schema: c.orNull(c.number()), value: null },
  { name: 'says that null is possible', schema: c.orNull(c.number()), value: 'x',
    says: ': "x" is neither a number, nor null' },
  { name: 'refuses null elsewhere', schema: k.boolean(), value: null, says: ': null is neither true nor false' },
  { name: 'takes the only allowed value', schema: c.only(1), value: 1 },
  { name: 'refuses another value', schema: c.only(1), value: 2, says: ': 2 is not one of 1' },
  { name: 'refuses a word that is not listed', schema: k.oneOf(['On', 'Off']), value: 'Maybe',
    says: ': "Maybe" is not one of On, Off' },
  { name: 'refuses a planned word', schema: k.oneOf(['On'], ['Auto']), value: 'Auto',
    says: ': "Auto" is not one of On' },
  { name: 'counts code points, not UTF-16 units', schema: k.string({ max: 2 }), value: '\u{1f600}\u{1f600}' },
  { name: 'refuses a text that is too long', schema: k.string({ max: 2 }), value: 'abc',
    says: ': is longer than 2 characters' },
  { name: 'refuses a text that is too short', schema: k.string({ min: 1, max: 2 }), value: '',
    says: ': is shorter than 1 characters' },
  { name: 'counts code points of a text that is too short', schema: k.string({ min: 2, max: 9 }), value: '\u{1f600}',
    says: ': is shorter than 2 characters' },
  { name: 'takes a text at its lower bound', schema: k.string({ min: 2, max: 9 }), value: '\u{1f600}x' },
  { name: 'refuses a number as text', schema: k.string({ max: 2 }), value: 5, says: ': 5 is not text' },
  { name: 'names a pattern by its name', schema: duration, value: '5', says: ': "5" is not a duration such as 5s' },
  { name: 'names a pattern by its name when the value is not text', schema: duration, value: 5,
    says: ': 5 is not a duration such as 5s' },
  { name: 'takes an amount as a number', schema: amount, value: 5 },
  { name: 'refuses a fraction as an amount', schema: amount, value: 0.5,
    says: ': 0.5 is not an integer of at least 0' },
  { name: 'takes an amount as text', schema: amount, value: '5Mi' },
  { name: 'refuses an amount of another form', schema: amount, value: 'lots',
    says: ': "lots" is not an amount of memory' },
  { name: 'takes lists up to their bound', schema: k.list(k.boolean(), { max: 2 }), value: [true, false] },
  { name: 'refuses a list that is too long', schema: k.list(k.boolean(), { max: 1 }), value: [true, false],
    says: ': has 2 entries, 0 to 1 are allowed' },
  { name: 'refuses a list that is too short', schema: k.list(k.boolean(), { min: 1, max: 2 }), value: [],
    says: ': has 0 entries, 1 to 2 are allowed' },
  { name: 'refuses an object as a list', schema: k.list(k.boolean(), { max: 1 }), value: {},
    says: ': {} is not a list' },
  { name: 'names the place in a list', schema: k.list(pair, { max: 3 }), value: [{ from: 1 }, { from: 'x' }],
    says: '[1].from: "x" is not an integer from 0 to 9' },
  { name: 'takes a map', schema: counts, value: { a: 1, b: 2 } },
  { name: 'refuses a map with too many entries', schema: counts, value: { a: 1, b: 2, c: 3 },
    says: ': has 3 entries, at most 2 are allowed' },
  { name: 'refuses a key of another form', schema: counts, value: { 'a b': 1 },
    says: ': key "a b" is not of the form ^\\w{1,9}$' },
  { name: 'names the place in a map', schema: counts, value: { a: -1 }, says: 'a: -1 is not an integer of at least 0' },
  { name: 'refuses a list as a map', schema: counts, value: [], says: ': [] is not an object' },
  { name: 'takes an object without its optional field', schema: pair, value: { from: 1 } },
  { name: 'refuses an object without its required field', schema: pair, value: { until: 1 }, says: 'from: is missing' },
  { name: 'refuses a list as an object', schema: pair, value: [], says: ': [] is not an object' },
  { name: 'names a field that is close to an unknown one', schema: pair, value: { fromm: 1 },
    says: 'fromm: unknown field; did you mean from? available fields: from, until' },
  { name: 'refuses an unknown field that is not close to a known one', schema: pair, value: { from: 1, x: 1 },
    says: 'x: unknown field; available fields: from, until' },
  { name: 'ignores an unknown field if told to', schema: pair, value: { from: 1, x: 1 },
    unknown: 'Ignore' },
  { name: 'applies a rule when all fields are valid', schema: inOrder, value: { from: 3, until: 2 },
    says: 'until: is before 3' },
  { name: 'reports an invalid field before the rule', schema: inOrder, value: { from: 30, until: 2 },
    says: 'from: 30 is not an integer from 0 to 9' },
  { name: 'takes each variant', schema: source, value: { kind: 'Seed', seed: 7 } },
  { name: 'refuses an unknown variant', schema: source, value: { kind: 'Air' },
    says: 'kind: "Air" is not one of File, Seed' },
  { name: 'refuses the field of another variant', schema: source, value: { kind: 'Seed', seed: 7, file: 'x' },
    says: 'file: unknown field; available fields: kind, seed' },
  { name: 'refuses null as a variant', schema: source, value: null, says: ': null is not an object' },
  { name: 'takes some of the fields of the same form', schema: c.eachOf(['a', 'b'], c.count()), value: { b: 1 } },
  { name: 'checks fields of the same form', schema: c.eachOf(['a', 'b'], c.count()), value: { b: -1 },
    says: 'b: -1 is not an integer of at least 0' },
  { name: 'shows only the beginning of a long value', schema: k.boolean(), value: 'x'.repeat(1_000_000),
    says: `: "${'x'.repeat(58)}… is neither true nor false` },
  { name: 'shows only the beginning of a long name', schema: pair, value: { ['x'.repeat(1_000_000)]: 1 },
    says: `${'x'.repeat(59)}…: unknown field; available fields: from, until` },
];

describe('checkOf', () => {
  for (const { name, schema, value, says, unknown = 'Refuse' } of rows) {
    it(name, () => {
      const fault = checkOf(schema, unknown)(value);
      assert.equal(fault === undefined ? undefined : `${fault.path}: ${fault.problem}`, says);
    });
  }

  it('refuses every name that objects inherit as a field', () => {
    const check = checkOf(k.object({ a: k.boolean().optional() }), 'Refuse');
    for (const name of inheritedNames) {
      // Parse JSON, so that `__proto__` is an own field of the object.
      const fault = check(JSON.parse(`{${JSON.stringify(name)}: 1}`));
      assert.equal(fault?.path, name);
    }
  });

  it('does not change the value', () => {
    const value = Object.freeze({ from: 1 });
    assert.equal(checkOf(pair, 'Refuse')(value), undefined);
    assert.deepEqual(value, { from: 1 });
  });
});

describe('the words of contracts', () => {
  it('are in no schema of the API server', () => {
    const found: string[] = [];
    const walk = (schema: JsonSchema, path: string): void => {
      if (schema.contract !== undefined || schema.type === 'number') found.push(path);
      for (const [name, field] of Object.entries(schema.properties ?? {})) walk(field, `${path}.${name}`);
      if (schema.items !== undefined) walk(schema.items, `${path}[]`);
      if (schema.additionalProperties !== undefined) walk(schema.additionalProperties, `${path}.*`);
    };
    walk(openApiSchema('whole'), '');
    assert.deepEqual(found, []);
  });

  it('make fields with defaults required, except the named ones', () => {
    const fields = { a: k.boolean().optional(), b: k.boolean().optional(), d: k.boolean().planned() };
    assert.deepEqual(k.object(c.filled(fields, ['b'])).json('published').required, ['a']);
    assert.deepEqual(Object.keys(k.object(c.filled(fields)).json('published').properties ?? {}), ['a', 'b']);
  });

  it('do not describe the absence of a required field', () => {
    const field = k.boolean().doc('Whether it runs. Absent: false.').optional();
    const { properties = {} } = k.object(c.filled({ field })).json('published');
    assert.equal(properties['field']?.description, 'Whether it runs.');
  });
});
