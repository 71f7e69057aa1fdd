import assert from 'node:assert/strict';
import type { KubeObject } from '../../../../api/kube-object.ts';
import { annotations } from '../../../../api/names.ts';
import { Stamps } from '../../../../operator/reconcile/stamps.ts';
import type { Manifest } from '../../../../operator/resources/objects.ts';

function manifest(replicas = 1, name = 'm'): Manifest {
  const metadata = { name, namespace: 'ns', labels: {}, ownerReferences: [] };
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { replicas } };
}
const live = (): KubeObject => ({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'm' } });

describe('stamps of manifests', () => {
  it('are made once for equal manifests', () => {
    const stamps = new Stamps();
    const [first] = stamps.of([manifest()]);
    assert.equal(stamps.of([manifest()])[0], first);
    assert.match(first?.metadata.annotations?.[annotations.applied] ?? '', /^[0-9a-f]{16}$/);
  });

  it('are made anew for another manifest of the same name', () => {
    const stamps = new Stamps();
    const [first] = stamps.of([manifest(1)]);
    const [second] = stamps.of([manifest(2)]);
    assert.notEqual(
      second?.metadata.annotations?.[annotations.applied],
      first?.metadata.annotations?.[annotations.applied],
    );
    assert.deepEqual(second?.['spec'], { replicas: 2 });
  });

  it('are kept for the manifests of the last pass only', () => {
    const stamps = new Stamps();
    const [first] = stamps.of([manifest()]);
    stamps.of([manifest(1, 'other')]);
    assert.notEqual(stamps.of([manifest()])[0], first);
  });
});

describe('manifests that need no write', () => {
  const stamps = new Stamps();
  const [first = manifest()] = stamps.of([manifest()]);
  const object = live();
  stamps.noteSettled(first, object, ['spec.paused (kubectl-edit)']);

  for (const { name, of, on, told } of [
    {
      name: 'are not compared again with the same live object',
      of: first,
      on: object,
      told: ['spec.paused (kubectl-edit)'],
    },
    { name: 'are compared with a changed live object', of: first, on: live(), told: undefined },
    { name: 'are compared when the manifest changed', of: manifest(2), on: object, told: undefined },
    { name: 'are compared when there is no live object', of: first, on: undefined, told: undefined },
  ])
    it(name, () => assert.deepEqual(stamps.toldOfSettled(of, on), told));
});
