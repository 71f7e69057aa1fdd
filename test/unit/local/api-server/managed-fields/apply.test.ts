/** Server-side apply as a pure function: properties that hold for every applied object. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { applyConfig } from '../../../../../local/api-server/managed-fields/apply.ts';
import { createCore } from '../../../../../local/api-server/core.ts';
import type { ObjectDraft, Resource } from '../../../../../local/api-server/resource.ts';
import type { StoredObject } from '../../../../../local/objects.ts';
import { HandClock } from '../../../../support/hand-clock.ts';

const found = createCore({ clock: new HandClock() }).catalog.find('v1', 'services');
assert.ok(found !== undefined);
const services: Resource = found;

const spec = fc.record(
  {
    type: fc.constantFrom('ClusterIP', 'NodePort'),
    selector: fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom('1', '2'), {
      minKeys: 1,
      noNullPrototype: true,
    }),
    ports: fc.uniqueArray(
      fc.record({ port: fc.integer({ min: 1, max: 4 }), name: fc.constantFrom('x', 'y') }, { noNullPrototype: true }),
      { selector: (port) => port.port, minLength: 1, maxLength: 3 },
    ),
    externalIPs: fc.uniqueArray(fc.constantFrom('10.0.0.1', '10.0.0.2'), { minLength: 1 }),
  },
  { requiredKeys: [], noNullPrototype: true },
);

function apply(live: StoredObject | undefined, manager: string, wanted: object, force = true): StoredObject {
  const config = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's' },
    spec: structuredClone(wanted),
  } as unknown as ObjectDraft;
  return applyConfig({
    resource: services,
    live,
    config,
    manager,
    force,
    subresource: '',
    time: '2026-01-01T00:00:00Z',
  }) as unknown as StoredObject;
}

describe('applyConfig', () => {
  it('gives a single applier what it applied', () => {
    fc.assert(
      fc.property(spec, spec, (first, second) => {
        const live = apply(apply(undefined, 'one', first), 'one', second);
        assert.deepEqual(live['spec'] ?? {}, second);
      }),
    );
  });

  it('changes nothing the second time', () => {
    fc.assert(
      fc.property(spec, spec, (first, second) => {
        const live = apply(apply(undefined, 'one', first), 'two', second);
        assert.deepEqual(apply(live, 'two', second), live);
      }),
    );
  });

  it('lets two appliers apply the same values without conflict', () => {
    fc.assert(
      fc.property(spec, (wanted) => {
        const live = apply(undefined, 'one', wanted);
        assert.deepEqual(apply(live, 'two', wanted, false)['spec'], live['spec']);
      }),
    );
  });

  it("keeps the first applier's fields when a second without overlap applies and gives up its own", () => {
    const one = { selector: { a: '1' }, ports: [{ port: 1, name: 'x' }] };
    const live = apply(undefined, 'one', one);
    const both = apply(
      live,
      'two',
      { selector: { b: '2' } as Record<string, string>, ports: [{ port: 2, name: 'y' }] },
      true,
    );
    const left = apply(both, 'two', {});
    assert.deepEqual((left['spec'] as { ports: unknown }).ports, one.ports);
  });
});
