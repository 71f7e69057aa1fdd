import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { openApiSchema, type OnnxModel } from '../../../api/onnxmodel.ts';
import { pruneObject } from '../../../kube/schema/prune.ts';
import { runRules } from '../../../kube/schema/cel.ts';
import type { OpenApiSchema } from '../../../kube/schema/schema.ts';
import { validateValue } from '../../../kube/schema/validate.ts';

const folder = fileURLToPath(new URL('../../../examples', import.meta.url));
// Parse YAML 1.1, as Kubernetes does: in YAML 1.1, an unquoted On is a boolean.
const read = (file: string): OnnxModel =>
  parse(readFileSync(`${folder}/${file}`, 'utf8'), { version: '1.1' }) as OnnxModel;
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
const schema = openApiSchema('published') as OpenApiSchema;

describe('the example manifests', () => {
  for (const file of files) {
    it(`${file} is valid by the schema, without unknown fields`, () => {
      const manifest = read(file);
      assert.deepEqual(validateValue(manifest, schema, ''), []);
      assert.deepEqual(runRules(manifest, schema, '', undefined), []);
      assert.deepEqual(pruneObject(structuredClone(manifest) as never, schema), []);
    });

    it(`${file} pins what it fetches over a network`, () => {
      const { uri, digest } = read(file).spec.model;
      if (!uri.startsWith('pvc:')) assert.match(digest ?? '', /^sha256:[0-9a-f]{64}$/);
    });
  }

  it('minilm-changed.yaml differs from minilm.yaml in batch policy and memory alone', () => {
    const [before, after] = [read('minilm.yaml'), read('minilm-changed.yaml')];
    assert.notDeepEqual(after.spec.batching, before.spec.batching);
    assert.notDeepEqual(after.spec.memory, before.spec.memory);
    assert.deepEqual(
      { ...after, spec: { ...after.spec, batching: before.spec.batching, memory: before.spec.memory } },
      before,
    );
  });
});
