/** Our schema of metadata equals the schema that Kubernetes publishes. */
import assert from 'node:assert/strict';
import { metaSchema } from '../../../../kube/schema/object-meta.ts';
import { builtinMetaSchema as published } from '../../../../local/api-server/builtin/schemas.ts';

/** The schema without its descriptions, which need not be equal. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([field]) => field !== 'title')
      .map(([field, item]) => [field, plain(item)]),
  );
}

describe('metaSchema', () => {
  it('is what the real server publishes', () => assert.deepEqual(plain(metaSchema), plain(published)));
});
