/**
 * Every field of the spec, of the status, of a pod's config and of a pod's report has a description that `kubectl
 * explain` and the reference can print.
 */
import assert from 'node:assert/strict';
import { openApiSchema } from '../../../api/onnxmodel.ts';
import { reportSchema } from '../../../api/report.ts';
import { runtimeConfigSchema } from '../../../api/runtime-config.ts';
import { k, type JsonSchema } from '../../../api/schema/builder.ts';

/** The maximum length of a description, in characters; it fills about five lines of a terminal. */
const longest = 400;

type Field = { readonly path: string; readonly name: string; readonly schema: JsonSchema };

function fieldsOf(schema: JsonSchema, path: string): readonly Field[] {
  const { properties = {}, contract } = schema.items ?? schema.additionalProperties ?? schema;
  const own = Object.entries(properties).flatMap(([name, field]) => [
    { path: `${path}.${name}`, name, schema: field },
    ...fieldsOf(field, `${path}.${name}`),
  ]);
  const variants = Object.entries(contract?.variants ?? {});
  return [...own, ...variants.flatMap(([kind, one]) => fieldsOf(one, `${path}(${kind})`))];
}

function problemsOf({ path, name, schema }: Field): readonly string[] {
  const { description = '' } = schema;
  if (description === '') return [`${path}: has no description`];
  return [
    ...(description.length > longest ? [`${path}: ${description.length} characters, at most ${longest}`] : []),
    ...(repeats(description, name) ? [`${path}: begins with the field's own name`] : []),
    ...(description.endsWith('.') ? [] : [`${path}: does not end with a full stop`]),
    ...(path.startsWith('spec.') && !tellsRange(schema) ? [`${path}: does not name its range`] : []),
  ];
}

/**
 * Whether a description only repeats the field's name: "The digest of …" for `digest`, "Max surge of …" for `maxSurge`.
 */
function repeats(description: string, name: string): boolean {
  const words = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]+/g, ' ');
  const spelled = words(name.replaceAll(/([a-z])([A-Z])/g, '$1 $2'));
  return [spelled, name.toLowerCase()].some((start) =>
    new RegExp(`^(the |an? |its )?${start}\\b`).test(words(description)),
  );
}

/** Whether the description of a number gives its bounds, which `kubectl explain` does not print. */
function tellsRange({ type, description = '', minimum = 0, maximum = Infinity }: JsonSchema): boolean {
  return type !== 'integer' || maximum >= 2 ** 31 - 1 || description.includes(`${minimum} to ${maximum}`);
}

describe('descriptions of fields', () => {
  for (const part of ['spec', 'status']) {
    it(`every field of the ${part} has one that a reader can use`, () => {
      const schema = openApiSchema('published').properties?.[part] ?? {};
      const fields = fieldsOf(schema, part);
      assert.ok(fields.length > 90, `${fields.length} fields`);
      assert.deepEqual(fields.flatMap(problemsOf), []);
    });
  }

  const contracts = { 'the config of a pod': runtimeConfigSchema, 'the report of a pod': reportSchema };
  for (const [what, schema] of Object.entries(contracts)) {
    it(`every field of ${what} has one that a reader can use`, () => {
      const fields = fieldsOf(schema.json('published'), '');
      assert.ok(fields.length > 40, `${fields.length} fields`);
      assert.deepEqual(fields.flatMap(problemsOf), []);
    });
  }

  const text = k.string({ max: 10 });
  const number = k.integer({ min: 1, max: 64 });
  const cases: readonly (readonly [what: string, field: Parameters<typeof k.object>[0], problem: string])[] = [
    ['a field without one', { a: text }, 'spec.a: has no description'],
    [
      'a field of a list without one',
      { a: k.list(k.object({ b: text }), { max: 1 }).doc('Some.') },
      'spec.a.b: has no',
    ],
    ['one that is too long', { a: text.doc(`${'b'.repeat(longest)}.`) }, 'spec.a: 401 characters'],
    [
      'one that begins with the name',
      { digest: text.doc('The digest of a file.') },
      "begins with the field's own name",
    ],
    ['one that begins with a name of two words', { maxSurge: text.doc('Max surge in pods.') }, "the field's own name"],
    ['one that is not a sentence', { a: text.doc('Something') }, 'does not end with a full stop'],
    ['a number without its range', { a: number.doc('How many.') }, 'does not name its range'],
  ];
  for (const [what, fields, problem] of cases) {
    it(`${what} is found`, () => {
      const found = fieldsOf(k.object(fields).json('published'), 'spec').flatMap(problemsOf);
      assert.equal(found.length, 1);
      assert.ok(found.join().includes(problem), found.join());
    });
  }

  it('a default is part of the description, also when the API server fills it in', () => {
    const fields = { a: text.doc('Some.').defaultsTo('none'), b: number.doc('How many.').serverDefault(5) };
    const { properties = {} } = k.object(fields).json('published');
    assert.equal(properties['a']?.description, 'Some. Default: none.');
    assert.equal(properties['b']?.description, 'How many. Default: 5.');
  });
});
