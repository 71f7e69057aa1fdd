/**
 * Whether a child (an object that the operator makes for a model) still has the shape of its manifest, and what the
 * operator does to its managedFields before it applies the child.
 */
import assert from 'node:assert/strict';
import { fieldManager } from '../../../../api/names.ts';
import { convertedEntries, fieldShapeOf } from '../../../../operator/reconcile/child-patch.ts';
import type { Manifest } from '../../../../operator/resources/objects.ts';

const deployment = (spec: object): Manifest =>
  ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'x', namespace: 'ml' },
    spec,
  }) as unknown as Manifest;
const containers = (...list: readonly object[]): object => ({ template: { spec: { containers: list } } });

describe('fieldShapeOf', () => {
  // prettier-ignore
  const rows: readonly { readonly name: string; readonly one: object; readonly other: object;
    readonly same: boolean }[] = [
    { name: 'is the same for other values', one: { replicas: 1 }, other: { replicas: 2 }, same: true },
    { name: 'is another for a field more', one: { replicas: 1 }, other: { replicas: 1, paused: true }, same: false },
    { name: 'is the same for items in another order',
      one: containers({ name: 'a' }, { name: 'b' }), other: containers({ name: 'b' }, { name: 'a' }), same: true },
    { name: 'is another for an item more',
      one: containers({ name: 'a' }), other: containers({ name: 'a' }, { name: 'b' }), same: false },
    { name: 'is another for a field more of an item',
      one: containers({ name: 'a' }), other: containers({ name: 'a', image: 'x' }), same: false },
    { name: 'is the same for an atomic map with other keys',
      one: { selector: { a: '1' } }, other: { selector: { b: '1' } }, same: true },
    { name: 'is the same for a list without keys that is longer',
      one: containers({ name: 'a', args: ['x'] }), other: containers({ name: 'a', args: ['x', 'y'] }), same: true },
    { name: 'ignores fields that are not set',
      one: { replicas: 1 }, other: { replicas: 1, paused: undefined }, same: true },
  ];
  for (const { name, one, other, same } of rows) {
    it(name, () => assert.equal(fieldShapeOf(deployment(one)) === fieldShapeOf(deployment(other)), same));
  }
});

describe('convertedEntries', () => {
  const entry = (manager: string, operation: string, fieldsV1: object, more: object = {}): object => ({
    manager,
    operation,
    apiVersion: 'apps/v1',
    fieldsV1,
    ...more,
  });
  const status = entry(fieldManager, 'Update', { 'f:status': {} }, { subresource: 'status' });
  const other = entry('kubectl', 'Update', { 'f:spec': { 'f:paused': {} } });

  it('joins our Update entry with our Apply entry and leaves all others', () => {
    const update = entry(fieldManager, 'Update', { 'f:spec': { 'f:replicas': {}, 'f:template': { 'f:a': {} } } });
    const apply = entry(fieldManager, 'Apply', { 'f:spec': { 'f:template': { 'f:b': {} } } });
    assert.deepEqual(convertedEntries([status, update, other, apply] as never), [
      status,
      other,
      entry(fieldManager, 'Apply', { 'f:spec': { 'f:replicas': {}, 'f:template': { 'f:a': {}, 'f:b': {} } } }),
    ]);
  });

  it('makes an Apply entry of our Update entry where there is none', () =>
    assert.deepEqual(convertedEntries([entry(fieldManager, 'Update', { 'f:spec': {} })] as never), [
      entry(fieldManager, 'Apply', { 'f:spec': {} }),
    ]));

  it('has nothing to convert without an Update entry of ours', () => {
    assert.equal(convertedEntries([status, other, entry(fieldManager, 'Apply', {})] as never), undefined);
    assert.equal(convertedEntries(undefined), undefined);
  });
});
