/** The changes that the cache reports to its handlers, how it finds objects, and which faults it survives. */
import assert from 'node:assert/strict';
import { Cache, type Change } from '../../../../kube/cache/cache.ts';
import type { KubeObject } from '../../../../api/kube-object.ts';

type Pod = KubeObject & { readonly spec?: { readonly node?: string } };

function pod(name: string, version: number, more: { uid?: string; node?: string; namespace?: string } = {}): Pod {
  const { uid = `uid-${name}`, node = 'n1', namespace = 'default' } = more;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, uid, resourceVersion: String(version) },
    spec: { node },
  };
}

function watched(options: ConstructorParameters<typeof Cache<Pod>>[0] = {}): { cache: Cache<Pod>; told: string[] } {
  const cache = new Cache<Pod>({ indexes: { node: (one) => [one.spec?.node ?? ''] }, ...options });
  const told: string[] = [];
  cache.subscribe((change) => told.push(say(change)));
  return { cache, told };
}

function say(change: Change<Pod>): string {
  switch (change.kind) {
    case 'added':
      return `+${change.now.metadata.name}@${change.now.metadata.resourceVersion}`;
    case 'updated':
      return (
        `${change.before.metadata.resourceVersion}>${change.now.metadata.name}@` +
        `${change.now.metadata.resourceVersion}`
      );
    case 'deleted':
      return `-${change.before.metadata.name}@${change.before.metadata.resourceVersion}`;
  }
}

type Row = { name: string; do: (cache: Cache<Pod>) => void; want: string[] };

// prettier-ignore
const rows: Row[] = [
  { name: 'reports an addition, and an update with both states',
    do: (c) => { c.put(pod('a', 1)); c.put(pod('a', 2)); }, want: ['+a@1', '1>a@2'] },
  { name: 'reports nothing when the same state arrives again',
    do: (c) => { c.put(pod('a', 1)); c.put(pod('a', 1)); }, want: ['+a@1'] },
  { name: 'reports a deletion with the last known state',
    do: (c) => { c.put(pod('a', 1)); c.remove(pod('a', 3)); }, want: ['+a@1', '-a@1'] },
  { name: 'reports nothing when an unknown object is deleted', do: (c) => c.remove(pod('a', 3)), want: [] },
  { name: 'reports an object that was created again as a deletion and an addition',
    do: (c) => { c.put(pod('a', 1)); c.put(pod('a', 5, { uid: 'other' })); }, want: ['+a@1', '-a@1', '+a@5'] },
  {
    name: 'tells the difference to a whole list, deletions first',
    do: (c) => { c.put(pod('a', 1)); c.put(pod('b', 2)); c.put(pod('c', 3));
        c.replace([pod('d', 9), pod('b', 8), pod('c', 3)]); },
    want: ['+a@1', '+b@2', '+c@3', '-a@1', '+d@9', '2>b@8'],
  },
];

describe('Cache', () => {
  for (const row of rows) {
    it(row.name, () => {
      const { cache, told } = watched();
      row.do(cache);
      assert.deepEqual(told, row.want);
    });
  }

  it('reports every existing object to a late subscriber', () => {
    const { cache } = watched();
    cache.put(pod('a', 1));
    const late: string[] = [];
    const off = cache.subscribe((change) => late.push(say(change)));
    cache.put(pod('b', 2));
    off();
    cache.put(pod('c', 3));
    assert.deepEqual(late, ['+a@1', '+b@2']);
  });

  it('continues when a handler throws, and calls the others', () => {
    const faults: string[] = [];
    const cache = new Cache<Pod>({ onFault: (where, error) => faults.push(`${where}: ${String(error)}`) });
    const told: string[] = [];
    cache.subscribe(() => {
      throw new Error('oops');
    });
    cache.subscribe((change) => told.push(say(change)));
    cache.put(pod('a', 1));
    cache.put(pod('a', 2));
    assert.deepEqual(told, ['+a@1', '1>a@2']);
    assert.deepEqual(faults, ['handler: Error: oops', 'handler: Error: oops']);
    assert.equal(cache.size, 1);
  });

  it('keeps an object whose index function throws, without a value in that index', () => {
    const faults: string[] = [];
    const { cache } = watched({
      indexes: {
        bad: () => {
          throw new Error('oops');
        },
      },
      onFault: (where) => faults.push(where),
    });
    cache.put(pod('a', 1));
    assert.equal(cache.get('default/a')?.metadata.name, 'a');
    assert.deepEqual(cache.byIndex('bad', 'x'), []);
    assert.deepEqual(faults, ['index bad']);
  });

  it('finds by index, and follows an object that moves from one value to another', () => {
    const { cache } = watched();
    cache.put(pod('a', 1));
    cache.put(pod('b', 2));
    cache.put(pod('a', 3, { node: 'n2' }));
    const names = (value: string): string[] => cache.byIndex('node', value).map((one) => one.metadata.name);
    assert.deepEqual([names('n1'), names('n2'), names('n3')], [['b'], ['a'], []]);
    cache.replace([]);
    assert.deepEqual([names('n1'), names('n2')], [[], []]);
  });

  it('throws for an unknown index', () => {
    assert.throws(() => watched().cache.byIndex('nope', 'x'), /no index 'nope'/);
  });

  it('lists one namespace or all', () => {
    const { cache } = watched();
    cache.put(pod('a', 1));
    cache.put(pod('a', 2, { namespace: 'other', uid: 'u2' }));
    assert.equal(cache.list('other').length, 1);
    assert.equal(cache.list().length, 2);
  });

  it('freezes its objects if requested, so that a write to one of them fails at once', () => {
    const { cache } = watched({ freeze: true });
    cache.put(pod('a', 1));
    const found = cache.get('default/a') as unknown as { spec: { node: string } };
    assert.throws(() => {
      found.spec.node = 'n9';
    }, TypeError);
  });
});
