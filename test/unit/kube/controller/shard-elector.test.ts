/**
 * Shards, and changes of their number, against an API in memory. A shard is the part of all keys (names of objects) for
 * which one operator is the leader. No key ever has two leaders.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { silentLogger } from '../../../../lib/log.ts';
import { createRegistry } from '../../../../lib/metrics.ts';
import type { KubeClient } from '../../../../kube/client/kube-client.ts';
import type { Term } from '../../../../kube/controller/leader.ts';
import { leases, type Lease } from '../../../../kube/controller/lease.ts';
import { leaseNameOf, ShardElector } from '../../../../kube/controller/shard-elector.ts';
import type { Shard } from '../../../../kube/controller/shard.ts';
import { HandClock, settle } from '../../../support/hand-clock.ts';
import { MemoryKube, refusal } from '../../../support/memory-kube.ts';

const base = { namespace: 'ops', name: 'onnx-operator' };
const record = { namespace: 'ops', name: 'onnx-operator-shards' };

type Operator = {
  readonly shard: Shard;
  readonly stop: AbortController;
  /** Whether all requests of the operator fail. The operator itself continues to run. */
  dead: boolean;
  term?: Term;
};

class World {
  readonly kube = new MemoryKube();
  readonly clock = new HandClock();
  readonly operators: Operator[] = [];

  start(index: number, of: number): Operator {
    const operator: Operator = { shard: { index, of }, stop: new AbortController(), dead: false };
    this.operators.push(operator);
    const elector = new ShardElector({
      client: this.#clientOf(operator),
      clock: this.clock,
      registry: createRegistry(),
      logger: silentLogger,
      lease: base,
      identity: `operator-${this.operators.length}`,
      random: () => 0.5,
      shard: operator.shard,
    });
    void elector.campaign(operator.stop.signal).then((term) => {
      if (term !== undefined) operator.term = term;
    });
    return operator;
  }

  /** Ends an operator as SIGTERM does. */
  async end(operator: Operator): Promise<void> {
    operator.stop.abort();
    await operator.term?.release();
  }

  leads(operator: Operator): boolean {
    return operator.term?.isCurrent() === true;
  }

  /** The shards that have a leader now, as `I/N`. */
  leading(): readonly string[] {
    return this.operators
      .filter((operator) => this.leads(operator))
      .map(({ shard }) => `${shard.index}/${shard.of}`)
      .sort();
  }

  async holder(name: string): Promise<string | undefined> {
    const lease: Lease = await this.kube.get(leases, { ...base, name });
    return lease.spec?.holderIdentity;
  }

  #clientOf(operator: Operator): KubeClient {
    const alive = <A extends unknown[], R>(send: (...args: A) => Promise<R>): ((...args: A) => Promise<R>) => {
      return (...args) => (operator.dead ? Promise.reject(new Error('dead')) : send(...args));
    };
    const { kube } = this;
    return new Proxy(kube, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === 'function' ? alive(member.bind(kube) as () => Promise<unknown>) : member;
      },
    });
  }
}

describe('ShardElector', () => {
  it('uses the Lease of an operator without shards, and writes nothing else', async () => {
    const world = new World();
    world.start(0, 1);
    await settle();
    assert.deepEqual(world.leading(), ['0/1']);
    assert.equal(await world.holder('onnx-operator'), 'operator-1');
    assert.deepEqual(world.kube.writes, ['create leases ops/onnx-operator']);
  });

  it('lets every shard lead at the same time, each with its own Lease and one leader', async () => {
    const world = new World();
    for (const index of [0, 1, 2, 2, 1, 0]) world.start(index, 3);
    await world.clock.advance(20_000);
    assert.deepEqual(world.leading(), ['0/3', '1/3', '2/3']);
    assert.equal(await world.holder('onnx-operator-0-of-3'), 'operator-1');
    assert.equal(await world.holder('onnx-operator-shards'), '3');
  });

  it('lets another replica of a shard lead when the first one is killed', async () => {
    const world = new World();
    const first = world.start(1, 2);
    await settle();
    const second = world.start(1, 2);
    await world.clock.advance(5000);
    first.dead = true;
    await world.clock.advance(10_000);
    assert.deepEqual([world.leads(first), world.leads(second)], [false, false]);
    await world.clock.advance(10_000);
    assert.equal(world.leads(second), true);
  });

  it('makes operators with another number of shards wait until all current ones have ended', async () => {
    const world = new World();
    const before = [world.start(0, 2), world.start(1, 2)];
    await world.clock.advance(5000);
    for (const index of [0, 1, 2]) world.start(index, 3);
    await world.clock.advance(60_000);
    assert.deepEqual(world.leading(), ['0/2', '1/2']);
    await world.end(before[0] as Operator);
    await world.clock.advance(60_000);
    assert.deepEqual(world.leading(), ['1/2']);
    await world.end(before[1] as Operator);
    await world.clock.advance(5000);
    assert.deepEqual(world.leading(), ['0/3', '1/3', '2/3']);
    assert.equal(await world.holder('onnx-operator-shards'), '3');
  });

  it('waits for the end of the Leases of shards that were killed', async () => {
    const world = new World();
    const only = world.start(0, 1);
    await settle();
    for (const index of [0, 1]) world.start(index, 2);
    await world.clock.advance(5000);
    only.dead = true;
    await world.clock.advance(13_000);
    assert.deepEqual(world.leading(), []);
    await world.clock.advance(6000);
    assert.deepEqual(world.leading(), ['0/2', '1/2']);
  });

  it('returns to one operator without shards', async () => {
    const world = new World();
    const shards = [world.start(0, 2), world.start(1, 2)];
    await world.clock.advance(5000);
    world.start(0, 1);
    await world.clock.advance(20_000);
    assert.deepEqual(world.leading(), ['0/2', '1/2']);
    for (const shard of shards) await world.end(shard);
    await world.clock.advance(5000);
    assert.deepEqual(world.leading(), ['0/1']);
  });

  it('does not lead when the number of shards was changed after it had read the record', async () => {
    const world = new World();
    const lost = world.start(0, 2);
    await settle();
    await world.end(lost);
    // Record a different number of shards after the operator has read the record and before it claims its Lease.
    world.kube.fail('replace', () => {
      world.kube.put(leases, recordOf('3'));
    });
    const late = world.start(0, 2);
    world.start(0, 3);
    await world.clock.advance(30_000);
    assert.equal(world.leads(late), false);
    assert.deepEqual(world.leading(), ['0/3']);
  });

  it('leads only after the Leases of earlier numbers of shards are free, even if its number is recorded', async () => {
    const world = new World();
    const old = world.start(0, 1);
    await settle();
    world.kube.put(leases, recordOf('2 after 1, 4'));
    world.start(1, 2);
    await world.clock.advance(30_000);
    assert.deepEqual(world.leading(), ['0/1']);
    await world.end(old);
    await world.clock.advance(5000);
    assert.deepEqual(world.leading(), ['1/2']);
    assert.equal(await world.holder('onnx-operator-shards'), '2');
  });

  it('remembers earlier numbers of shards whose Leases may still be held', async () => {
    const world = new World();
    const old = world.start(0, 1);
    await settle();
    world.kube.put(leases, recordOf('2 after 1'));
    world.start(0, 3);
    await world.clock.advance(30_000);
    assert.deepEqual(world.leading(), ['0/1']);
    assert.equal(await world.holder('onnx-operator-shards'), '3 after 1, 2');
    await world.end(old);
    await world.clock.advance(5000);
    assert.deepEqual(world.leading(), ['0/3']);
  });

  it('reads the Leases again after it has changed the recorded number of shards', async () => {
    const world = new World();
    world.kube.put(leases, recordOf('2'));
    // Another process takes the Lease of shard 0 of 2 after the operator has read this Lease and before the operator
    // changes the record.
    world.kube.fail('replace', () => {
      const metadata = { ...base, name: 'onnx-operator-0-of-2' };
      const spec = { holderIdentity: 'late', leaseDurationSeconds: 15 };
      world.kube.put(leases, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec });
    });
    world.start(0, 3);
    await world.clock.advance(14_000);
    assert.deepEqual(world.leading(), []);
    await world.clock.advance(5000);
    assert.deepEqual(world.leading(), ['0/3']);
  });

  it('lets operators with the current number of shards restart while operators with another number wait', async () => {
    const world = new World();
    const [, second] = [world.start(0, 2), world.start(1, 2)];
    await world.clock.advance(5000);
    for (const index of [0, 1, 2]) world.start(index, 3);
    await world.clock.advance(10_000);
    await world.end(second);
    await world.clock.advance(10_000);
    world.start(1, 2);
    await world.clock.advance(10_000);
    assert.deepEqual(world.leading(), ['0/2', '1/2']);
  });

  it('never leads while the record cannot be read or understood', async () => {
    const world = new World();
    world.kube.put(leases, recordOf('a word of a later version'));
    world.start(0, 1);
    await world.clock.advance(30_000);
    assert.deepEqual(world.leading(), []);
    world.kube.put(leases, recordOf('1'));
    world.kube.fail('get', refusal(403, 'Forbidden', 'no'), 4);
    await world.clock.advance(3000);
    assert.deepEqual(world.leading(), []);
    await world.clock.advance(30_000);
    assert.deepEqual(world.leading(), ['0/1']);
  });

  it('never gives a key two leaders, however operators start, stop and are killed', async () => {
    const anyEvent = fc.record({
      kind: fc.constantFrom('start', 'start', 'kill', 'end', 'cut', 'mend'),
      which: fc.nat(20),
      of: fc.integer({ min: 1, max: 3 }),
      ms: fc.constantFrom(0, 50, 700, 2500, 9000, 16_000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(anyEvent, { minLength: 5, maxLength: 20 }), async (events) => {
        const world = new World();
        for (const { kind, which, of, ms } of events) {
          const operator = world.operators[which % Math.max(1, world.operators.length)];
          if (kind === 'start') world.start(which % of, of);
          else if (operator !== undefined) await act(world, kind, operator);
          await advanceWatching(world, ms);
        }
        for (const operator of world.operators) await act(world, 'kill', operator);
        world.start(0, 2);
        world.start(1, 2);
        await advanceWatching(world, 60_000);
        assert.deepEqual(world.leading(), ['0/2', '1/2']);
      }),
      { numRuns: 40 },
    );
  }).timeout(120_000);
});

async function act(world: World, kind: string, operator: Operator): Promise<void> {
  if (kind === 'cut' || kind === 'kill') operator.dead = true;
  // A killed process never comes back. A process whose network was cut comes back, unless it was stopped.
  if (kind === 'kill') operator.stop.abort();
  if (kind === 'mend' && !operator.stop.signal.aborted) operator.dead = false;
  if (kind === 'end' && !operator.dead) await world.end(operator);
}

/**
 * Advances in small steps. After each step, no shard may have two leaders, and all leaders must have the same number of
 * shards.
 */
async function advanceWatching(world: World, ms: number): Promise<void> {
  for (let left = ms; left >= 0; left -= 500) {
    await world.clock.advance(Math.min(500, left));
    const leading = world.leading();
    assert.equal(new Set(leading).size, leading.length, `two leaders of one shard: ${leading.join(' ')}`);
    const numbers = new Set(leading.map((shard) => shard.split('/')[1]));
    assert.ok(numbers.size <= 1, `leaders of two numbers of shards: ${leading.join(' ')}`);
  }
}

function recordOf(holderIdentity: string): Lease {
  return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: record, spec: { holderIdentity } };
}

describe('the name of a Lease', () => {
  it('is the old one without shards, and has the shard and their number otherwise', () => {
    assert.deepEqual(
      [leaseNameOf('onnx-operator', { index: 0, of: 1 }), leaseNameOf('onnx-operator', { index: 2, of: 3 })],
      ['onnx-operator', 'onnx-operator-2-of-3'],
    );
  });
});
