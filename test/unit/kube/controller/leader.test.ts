/** Leader election against an API in memory. At most one process is the leader at any time. */
import assert from 'node:assert/strict';
import type { Clock } from '../../../../lib/clock.ts';
import { silentLogger } from '../../../../lib/log.ts';
import { createRegistry } from '../../../../lib/metrics.ts';
import { fencedClient } from '../../../../kube/client/fenced-client.ts';
import { LeaderElector, type LeaderDeps, type Term } from '../../../../kube/controller/leader.ts';
import { leases, type Lease } from '../../../../kube/controller/lease.ts';
import { HandClock, settle } from '../../../support/hand-clock.ts';
import { MemoryKube, refusal } from '../../../support/memory-kube.ts';

const lease = { namespace: 'ops', name: 'onnx-operator' };

type Replica = { term?: Term; readonly stop: AbortController };

function campaign(kube: MemoryKube, clock: Clock, identity: string, options: Partial<LeaderDeps> = {}): Replica {
  const elector = new LeaderElector({
    client: kube,
    clock,
    registry: createRegistry(),
    logger: silentLogger,
    lease,
    identity,
    random: () => 0,
    ...options,
  });
  const replica: Replica = { stop: new AbortController() };
  void elector.campaign(replica.stop.signal).then((term) => {
    if (term !== undefined) replica.term = term;
  });
  return replica;
}

const held = (kube: MemoryKube): Promise<Lease> => kube.get(leases, lease);

/** A call that never returns, as on a half-open connection. */
const hang = (): Promise<never> => new Promise(() => {});

describe('LeaderElector', () => {
  it('creates a missing lease with the fields that client-go writes', async () => {
    const kube = new MemoryKube();
    const replica = campaign(kube, new HandClock(Date.parse('2026-01-02T03:04:05.678Z')), 'a');
    await settle();
    assert.equal(replica.term?.isCurrent(), true);
    assert.deepEqual((await held(kube)).spec, {
      holderIdentity: 'a',
      leaseDurationSeconds: 15,
      acquireTime: '2026-01-02T03:04:05.678000Z',
      renewTime: '2026-01-02T03:04:05.678000Z',
      leaseTransitions: 0,
    });
  });

  it('renews the lease with one write in two seconds, and keeps the time of its election', async () => {
    const kube = new MemoryKube();
    const clock = new HandClock();
    const replica = campaign(kube, clock, 'a');
    await settle();
    const elected = (await held(kube)).spec?.acquireTime;
    const calls = { ...kube.calls };
    await clock.advance(60_000);
    assert.equal(replica.term?.isCurrent(), true);
    assert.deepEqual([kube.calls.replace - calls.replace, kube.calls.get - calls.get], [30, 0]);
    assert.equal((await held(kube)).spec?.acquireTime, elected);
  });

  it('lets one of two replicas lead, and the second one only after a release', async () => {
    const kube = new MemoryKube();
    const clock = new HandClock();
    const [a, b] = [campaign(kube, clock, 'a'), campaign(kube, clock, 'b')];
    await clock.advance(60_000);
    assert.deepEqual([a.term?.isCurrent(), b.term?.isCurrent()], [true, undefined]);
    await a.term?.release();
    assert.deepEqual([a.term?.isCurrent(), a.term?.lost.aborted], [false, false]);
    // After a release the Lease has no holder, so `b` does not wait until the Lease expires.
    await clock.advance(2500);
    assert.equal(b.term?.isCurrent(), true);
    assert.equal((await held(kube)).spec?.leaseTransitions, 1);
  });

  it('takes over from a leader that died, by its own clock, after the lease has run out', async () => {
    const kube = new MemoryKube();
    const clock = new HandClock();
    // The clock of this holder is decades ahead, so its renewTime must be ignored.
    kube.put(leases, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: lease,
      spec: {
        holderIdentity: 'dead',
        leaseDurationSeconds: 15,
        renewTime: '2099-01-01T00:00:00.000000Z',
        leaseTransitions: 4,
      },
    });
    const replica = campaign(kube, clock, 'b');
    await clock.advance(14_000);
    assert.equal(replica.term?.isCurrent(), undefined);
    await clock.advance(3000);
    assert.equal(replica.term?.isCurrent(), true);
    assert.equal((await held(kube)).spec?.leaseTransitions, 5);
  });

  it('does not take over while the other replica renews, even if its renewTime is decades old', async () => {
    const kube = new MemoryKube();
    const clock = new HandClock();
    const renew = (n: number): unknown =>
      kube.put(leases, {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: lease,
        spec: {
          holderIdentity: 'other',
          leaseDurationSeconds: 15,
          renewTime: `1999-01-01T00:00:${String(n).padStart(2, '0')}.000000Z`,
        },
      });
    renew(0);
    const replica = campaign(kube, clock, 'b');
    for (let n = 1; n < 12; n += 1) {
      await clock.advance(10_000);
      renew(n);
    }
    assert.equal(replica.term?.isCurrent(), undefined);
  });

  it('gives the lease to only one of two replicas that try at the same moment', async () => {
    const kube = new MemoryKube();
    const clock = new HandClock();
    kube.put(leases, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: lease,
      spec: { holderIdentity: '' },
    });
    const replicas = ['a', 'b', 'c'].map((identity) => campaign(kube, clock, identity));
    await settle();
    assert.equal(replicas.filter((one) => one.term?.isCurrent() === true).length, 1);
  });

  it('survives a few failed renewals', async () => {
    const kube = new MemoryKube();
    const clock = new HandClock();
    const replica = campaign(kube, clock, 'a');
    await settle();
    kube.fail('replace', refusal(500, 'InternalError', 'boom'), 3);
    await clock.advance(8000);
    assert.equal(replica.term?.isCurrent(), true);
  });

  it('loses the lease when it cannot renew for ten seconds, before another replica may take it', async () => {
    const kube = new MemoryKube();
    const clock = new HandClock();
    const replica = campaign(kube, clock, 'a');
    await settle();
    kube.fail('replace', refusal(500, 'InternalError', 'boom'), 1000);
    kube.fail('get', refusal(500, 'InternalError', 'boom'), 1000);
    await clock.advance(9999);
    assert.equal(replica.term?.isCurrent(), true);
    await clock.advance(1);
    assert.equal(replica.term?.isCurrent(), false);
    assert.match(String(replica.term?.lost.reason), /not renewed for 10000 ms/);
  });

  it('loses the lease in time even when a renewal hangs', async () => {
    const kube = new MemoryKube();
    const clock = new HandClock();
    const replica = campaign(kube, clock, 'a');
    await settle();
    kube.fail('replace', hang, 1000);
    await clock.advance(10_000);
    assert.equal(replica.term?.lost.aborted, true);
  });

  it('knows by the clock that it no longer leads, before any timer says so', async () => {
    const hands = new HandClock();
    let nowMs = 0;
    // Simulate a process that was suspended: its clock jumps ahead, and its timers have not fired yet.
    const clock: Clock = {
      now: () => hands.now(),
      monotonic: () => nowMs,
      after: (ms, fn) => hands.after(ms, fn),
      sleep: (ms, signal) => hands.sleep(ms, signal),
    };
    const replica = campaign(new MemoryKube(), clock, 'a');
    await settle();
    assert.equal(replica.term?.isCurrent(), true);
    nowMs = 10_000;
    assert.deepEqual([replica.term?.isCurrent(), replica.term?.lost.aborted], [false, false]);
  });

  it('loses the lease when another replica holds it', async () => {
    const kube = new MemoryKube();
    const clock = new HandClock();
    const replica = campaign(kube, clock, 'a');
    await settle();
    kube.put(leases, { ...(await held(kube)), spec: { holderIdentity: 'thief', leaseDurationSeconds: 15 } });
    await clock.advance(2000);
    assert.match(String(replica.term?.lost.reason), /thief holds the lease/);
    const writes = kube.writes.length;
    await clock.advance(60_000);
    assert.equal(kube.writes.length, writes);
  });

  it('keeps the lease when a user only changed its labels', async () => {
    const kube = new MemoryKube();
    const clock = new HandClock();
    const replica = campaign(kube, clock, 'a');
    await settle();
    await kube.patchMetadata(leases, lease, { labels: { x: 'y' } });
    await clock.advance(20_000);
    assert.equal(replica.term?.isCurrent(), true);
  });

  it('creates the lease again when a user deleted it', async () => {
    const kube = new MemoryKube();
    const clock = new HandClock();
    const replica = campaign(kube, clock, 'a');
    await settle();
    await kube.delete(leases, lease);
    await clock.advance(20_000);
    assert.equal(replica.term?.isCurrent(), true);
    assert.equal((await held(kube)).spec?.holderIdentity, 'a');
  });

  it('releases the lease although a cancelled renewal arrives late', async () => {
    const kube = new MemoryKube();
    const replica = campaign(kube, new HandClock(), 'a');
    await settle();
    kube.fail('replace', refusal(409, 'Conflict', 'modified'), 2);
    await replica.term?.release();
    assert.equal((await held(kube)).spec?.holderIdentity, '');
  });

  it('does not release a lease that another replica holds', async () => {
    const kube = new MemoryKube();
    const replica = campaign(kube, new HandClock(), 'a');
    await settle();
    kube.put(leases, { ...(await held(kube)), spec: { holderIdentity: 'thief', leaseDurationSeconds: 15 } });
    await replica.term?.release();
    assert.equal((await held(kube)).spec?.holderIdentity, 'thief');
  });

  it('ends its campaign with the signal', async () => {
    const kube = new MemoryKube();
    const clock = new HandClock();
    const leading = campaign(kube, clock, 'a');
    await settle();
    const waiting = campaign(kube, clock, 'b');
    await settle();
    waiting.stop.abort();
    await clock.advance(60_000);
    assert.deepEqual([leading.term?.isCurrent(), waiting.term], [true, undefined]);
  });

  it('refuses durations that do not fit together', () => {
    const options = {
      client: new MemoryKube(),
      clock: new HandClock(),
      registry: createRegistry(),
      logger: silentLogger,
      lease,
      identity: 'a',
    };
    assert.throws(() => new LeaderElector({ ...options, renewDeadlineMs: 15_000 }), { code: 'BAD_CONFIG' });
    assert.throws(() => new LeaderElector({ ...options, retryMs: 9000 }), { code: 'BAD_CONFIG' });
  });
});

describe('fencedClient', () => {
  it('lets reads through and refuses every write once the term is over', async () => {
    const kube = new MemoryKube();
    let leading = true;
    const client = fencedClient(kube, () => leading);
    const written = await client.create(leases, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: lease,
    });
    leading = false;
    const before = kube.writes.length;
    assert.equal((await client.get(leases, lease)).metadata.name, lease.name);
    const writes: Promise<unknown>[] = [
      client.create(leases, written),
      client.replace(leases, written),
      client.apply(leases, written, { fieldManager: 'x', force: true }),
      client.replaceStatus(leases, written, {}),
      client.patchMetadata(leases, lease, {}),
      client.delete(leases, lease),
    ];
    for (const write of writes) await assert.rejects(write, { code: 'LEADERSHIP_LOST' });
    assert.equal(kube.writes.length, before);
  });
});
