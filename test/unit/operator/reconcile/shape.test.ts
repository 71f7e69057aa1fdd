/** Compares the operator's table of keyed lists and atomic maps with the API's schemas. */
import assert from 'node:assert/strict';
import { definitions } from '../../../../local/api-server/builtin/schemas.ts';
import { isRecord } from '../../../../api/record.ts';
import { shapeTable } from '../../../../operator/reconcile/shape.ts';

type Found = { readonly keyed: Map<string, Set<string>>; readonly atomic: Set<string> };

/** All keyed lists and atomic maps in the specs of children, by field name. */
function shapesBelow(roots: readonly string[]): Found {
  const found: Found = { keyed: new Map(), atomic: new Set() };
  const seen = new Set<string>();
  const visit = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    for (const [field, property] of Object.entries(
      (definitions[name]?.['properties'] ?? {}) as Record<string, Record<string, unknown>>,
    )) {
      noteShape(found, field, property);
      for (const node of [property, property['items'], property['additionalProperties']]) visit(typeOf(node));
    }
  };
  roots.forEach(visit);
  return found;
}

function noteShape({ keyed, atomic }: Found, field: string, property: Record<string, unknown>): void {
  const keys = property['x-kubernetes-list-map-keys'];
  if (Array.isArray(keys)) keyed.set(field, (keyed.get(field) ?? new Set()).add(keys.join()));
  if (
    property['x-kubernetes-map-type'] === 'atomic' ||
    definitions[typeOf(property)]?.['x-kubernetes-map-type'] === 'atomic'
  )
    atomic.add(field);
}

/** The name of the type that a node refers to, or an empty string. */
function typeOf(node: unknown): string {
  const reference = isRecord(node) ? node['$ref'] : undefined;
  return typeof reference === 'string' ? reference.slice(reference.lastIndexOf('/') + 1) : '';
}

const { keyed, atomic } = shapesBelow(
  Object.keys(definitions).filter((name) =>
    /\.(ServiceSpec|DeploymentSpec|ConfigMap|ControllerRevision|ObjectMeta)$/.test(name),
  ),
);

describe('the table of shapes', () => {
  it('contains every keyed list with its keys', () => {
    for (const [field, keys] of keyed)
      assert.deepEqual((shapeTable.keyedLists[field] ?? []).map((one) => one.join()).sort(), [...keys].sort(), field);
  });

  it('does not contain a keyed list that the API does not have', () => {
    assert.deepEqual(
      Object.keys(shapeTable.keyedLists).filter((field) => !keyed.has(field)),
      [],
    );
  });

  it('contains every atomic map of strings', () => {
    for (const field of ['selector', 'nodeSelector'])
      assert.ok(atomic.has(field) && shapeTable.atomicMaps.has(field), field);
  });

  it('does not contain a map that the API merges', () => {
    const parts = ['matchLabels'];
    assert.deepEqual(
      [...shapeTable.atomicMaps].filter((field) => !atomic.has(field) && !parts.includes(field)),
      [],
    );
  });
});
