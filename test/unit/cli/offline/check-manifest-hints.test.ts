/** Checks that the spelling which a hint of `validate` suggests is valid. */
import assert from 'node:assert/strict';
import { checkManifest } from '../../../../cli/offline/check-manifest.ts';
import type { OperatorFinding } from '../../../../cli/offline/operator-checks.ts';
import { openApiSchema } from '../../../../api/onnxmodel.ts';
import { schemaOfField, schemaOfItems, type OpenApiSchema } from '../../../../kube/schema/schema.ts';

type Path = readonly (string | number)[];
type Json = Record<string | number, unknown>;

/** The paths of all string fields of the spec, with one item in each list and one key in each map. */
function textFields(schema: OpenApiSchema, path: Path): readonly Path[] {
  if (schema.type === 'string') return [path];
  if (schema.type === 'array') return textFields(schemaOfItems(schema), [...path, 0]);
  const fields = Object.keys(schema.properties ?? {});
  if (fields.length === 0 && typeof schema.additionalProperties === 'object')
    return textFields(schema.additionalProperties, [...path, 'key']);
  return fields.flatMap((field) => textFields(schemaOfField(schema, field) ?? {}, [...path, field]));
}

function manifestWith(path: Path, value: unknown): Record<string, unknown> {
  const manifest = {
    apiVersion: 'onnx-operator.dev/v1alpha1',
    kind: 'OnnxModel',
    metadata: { name: 'm', namespace: 'ml' },
    spec: { model: { uri: 'https://models.example/m.onnx' } },
  };
  const parent = path.slice(0, -1).reduce<Json>(
    (at, step, i) => {
      at[step] ??= typeof path[i + 1] === 'number' ? [] : {};
      return at[step] as Json;
    },
    manifest as unknown as Json,
  );
  parent[path.at(-1) ?? ''] = value;
  return manifest;
}

const written = (path: Path): string =>
  path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`),
    '',
  );
const at = (findings: readonly OperatorFinding[], path: Path): readonly OperatorFinding[] =>
  findings.filter((finding) => finding.path === written(path) && finding.severity === 'error');
const spec = schemaOfField(openApiSchema('published') as OpenApiSchema, 'spec') ?? {};
const fields = textFields(spec, ['spec']);

describe('a hint to write a value in quotes', () => {
  it('is tested at every string field', () => assert.ok(fields.length > 30, `${fields.length}`));

  for (const path of fields) {
    it(`is valid at ${written(path)}`, () => {
      for (const value of [0, 1, 15, 0.05, 0.95, 300, true, false]) {
        for (const { hint = '' } of at(checkManifest(manifestWith(path, value)), path)) {
          const [, text] = /in quotes[^"]*"([^"]*)"/.exec(hint) ?? [];
          if (text !== undefined)
            assert.deepEqual(at(checkManifest(manifestWith(path, text)), path), [], `${value}: ${hint}`);
        }
      }
    });
  }

  const hints: readonly (readonly [string, Path, unknown, RegExp])[] = [
    ['a percentage', ['spec', 'rollout', 'gates', 'errors', 'max'], 15, /in quotes and with its unit, such as "15%"/],
    ['a duration', ['spec', 'rollout', 'progressDeadline'], 300, /in quotes and with its unit, such as "300s"/],
    ['a number as text', ['spec', 'rollout', 'gates', 'alpha'], 0.05, /in quotes: "0\.05"/],
    ['the docs when no spelling is valid', ['spec', 'rollout', 'pinRevision'], 15, /^(?!.*in quotes)/],
  ];
  for (const [what, path, value, says] of hints) {
    it(`suggests ${what}`, () => assert.match(at(checkManifest(manifestWith(path, value)), path)[0]?.hint ?? '', says));
  }
});
