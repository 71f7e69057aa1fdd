/**
 * The schema and the runtime accept the same specs. Tries every field of a revision that the runtime reads, with values
 * at its bounds and beyond them.
 */
import assert from 'node:assert/strict';
import { AppError } from '../../../../api/errors.ts';
import { openApiSchema, type OnnxModelSpec } from '../../../../api/onnxmodel.ts';
import type { JsonSchema } from '../../../../api/schema/builder.ts';
import { checkCustomObject } from '../../../../kube/schema/check-object.ts';
import type { OpenApiSchema } from '../../../../kube/schema/schema.ts';
import { runtimeConfig } from '../../../../operator/resources/runtime-config.ts';
import { checkRuntimeConfig } from '../../../../runtime/config/revision-file.ts';
import { given } from '../../../support/given.ts';

type Json = Readonly<Record<string, unknown>>;
/** A value of a part of the spec. `where`: its path and a description of the value. */
type Sample = readonly [where: string, value: unknown];

const schema = openApiSchema('published');
/** A model with a variant of every precision, so that each precision is allowed. */
const model = {
  uri: 'pvc://models/minilm/',
  task: 'Embedding',
  embedding: {},
  variants: ['FP32', 'FP16', 'INT8', 'INT4'].map((precision) => ({ precision, path: `${precision}.onnx` })),
};

/**
 * Fields that are not tried here: the runtime does not get them, or gets them in another form. `uri` has its own tests.
 */
const apart = new Set(['model.uri', 'model.task', 'model.graphs', 'model.schemaPolicy']);
const parts = ['model', 'execution', 'batching', 'memory', 'warmup'] as const;

/** Values to try for fields with a pattern. The first value is ordinary; the others are at a bound or beyond it. */
const written: readonly { readonly field: RegExp; readonly values: readonly string[] }[] = [
  { field: /digest$/, values: [`sha256:${'0'.repeat(64)}`, `sha256:${'0'.repeat(63)}`, `sha256:${'0'.repeat(65)}`] },
  { field: /maxQueueDelay$/, values: ['0ms', '1s', '24h', '24h1ms', '2400h'] },
  { field: /timeout$/, values: ['5m', '1ms', '24h', '24h1ms', '2400h'] },
  { field: /limit$/, values: ['64Mi', '67108863', '63Mi', '1.5Gi', '512m'] },
  { field: /clientHeader$/, values: ['x-client-id', 'X', 'a'.repeat(64), 'a'.repeat(65), '', 'a b', '-x'] },
  { field: /(path|tokenizer)$/, values: ['a', 'a'.repeat(512), 'a'.repeat(513), ''] },
];

function samplesAt(where: string, json: JsonSchema): readonly Sample[] {
  if (apart.has(where)) return [];
  const found = written.find(({ field }) => field.test(where));
  if (found !== undefined) return found.values.map((value) => [`${where}: ${shown(value)}`, value]);
  const ofType = json.additionalProperties === undefined ? samplesOf[json.type ?? 'object'] : samplesOfMap;
  return ofType(where, json);
}

const samplesOf: Readonly<
  Record<NonNullable<JsonSchema['type']>, (where: string, json: JsonSchema) => readonly Sample[]>
> = {
  object: samplesOfObject,
  array: samplesOfList,
  string: samplesOfText,
  integer: (where, json) => around(json.minimum ?? 0, json.maximum ?? 0).map((value) => [`${where}: ${value}`, value]),
  number: (where) => assert.fail(`${where}: a spec has integers, and other numbers as text`),
  boolean: (where) => [true, false].map((value) => [`${where}: ${value}`, value]),
};

function samplesOfObject(where: string, json: JsonSchema): readonly Sample[] {
  const usual = plain(where, json, 0) as Json;
  return Object.entries(json.properties ?? {}).flatMap(([name, inner]) =>
    samplesAt(`${where}.${name}`, inner).map(([what, value]): Sample => [what, { ...usual, [name]: value }]),
  );
}

function samplesOfMap(where: string, json: JsonSchema): readonly Sample[] {
  const most = json.maxProperties ?? 0;
  const entries = (count: number): Json => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'x']));
  return [
    ...[0, most, most + 1].map((count): Sample => [`${where} with ${count} entries`, entries(count)]),
    ...samplesAt(`${where}.k`, json.additionalProperties ?? {}).map(([what, k]): Sample => [what, { k }]),
  ];
}

function samplesOfList(where: string, json: JsonSchema): readonly Sample[] {
  const { items = {} } = json;
  const key = json['x-kubernetes-list-map-keys']?.[0];
  // A list whose keys come from a fixed set of words cannot have more entries than words.
  const words = items.properties?.[key ?? 'name']?.enum?.length ?? Infinity;
  return [
    ...around(json.minItems ?? 0, json.maxItems ?? 0)
      .filter((count) => count <= words)
      .map((count): Sample => [
        `${where} with ${count} entries`,
        Array.from({ length: count }, (_, i) => plain(`${where}[]`, items, i)),
      ]),
    ...samplesAt(`${where}[]`, items).map(([what, value]): Sample => [what, [value]]),
  ];
}

function samplesOfText(where: string, json: JsonSchema): readonly Sample[] {
  if (json.enum !== undefined) return [...json.enum, 'Nonsense'].map((word) => [`${where}: ${word}`, word]);
  assert.equal(json.pattern, undefined, `${where} has a pattern: say in this test what it may be`);
  return around(json.minLength ?? 0, json.maxLength ?? 0).flatMap((length) =>
    ['x', '\u{1f600}'].map((one): Sample => [`${where} of ${length} times ${one}`, one.repeat(length)]),
  );
}

/** Values at the bounds and just beyond them. */
function around(least: number, most: number): readonly number[] {
  return [least - 1, least, most, most + 1].filter((count) => count >= 0);
}

/** An ordinary value. In a list, `i` is the index of the item, and each index gives another key. */
function plain(where: string, json: JsonSchema, i: number): unknown {
  const found = written.find(({ field }) => field.test(where))?.values[0];
  if (json.enum !== undefined) return json.enum[i % json.enum.length];
  if (found !== undefined) return where.endsWith('path') ? `${found}${i}` : found;
  if (json.type !== 'object') throw new Error(`${where}: has no plain value`);
  return Object.fromEntries(
    (json.required ?? []).map((name) => [name, plain(`${where}.${name}`, json.properties?.[name] ?? {}, i)]),
  );
}

function shown(text: string): string {
  return text.length > 80 ? `${text.slice(0, 10)}… (${text.length} characters)` : JSON.stringify(text);
}

function schemaAccepts(spec: OnnxModelSpec): boolean {
  return checkCustomObject({ schema: schema as OpenApiSchema }, given.model(spec) as never, undefined, []).length === 0;
}

function runtimeAccepts(spec: OnnxModelSpec): boolean {
  const object = given.model(spec);
  try {
    checkRuntimeConfig(runtimeConfig(object, given.record(object)), 'runtime.json');
    return true;
  } catch (error) {
    assert.ok(error instanceof AppError && error.code === 'BAD_CONFIG', String(error));
    return false;
  }
}

describe('the bounds of a spec', () => {
  for (const part of parts) {
    const json = schema.properties?.['spec']?.properties?.[part] ?? {};
    const samples = part === 'model' ? samplesOfObject(part, { ...json, required: [] }) : samplesAt(part, json);

    describe(part, () => {
      it('are tried on both sides', () => {
        const accepted = samples.map(([, value]) => schemaAccepts(specWith(part, value)));
        assert.ok(accepted.includes(true) && accepted.includes(false));
      });

      for (const [where, value] of samples) {
        it(`are the same for the schema and the runtime: ${where}`, () => {
          const spec = specWith(part, value);
          assert.equal(runtimeAccepts(spec), schemaAccepts(spec));
        });
      }
    });
  }
});

function specWith(part: (typeof parts)[number], value: unknown): OnnxModelSpec {
  const spec = { model, [part]: value };
  return (part === 'model' ? { ...spec, model: { ...model, ...(value as object) } } : spec) as OnnxModelSpec;
}
