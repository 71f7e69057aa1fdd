/**
 * Tests the features of an API server that the controller's parts need. It runs against local mode (a cluster in one
 * process) and, in test/integration-real, against kube-apiserver. It creates its own namespace and definition and
 * removes both.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { createRegistry } from '../../lib/metrics.ts';
import { EventRecorder, events } from '../../kube/events/events.ts';
import type { HttpKubeClient } from '../../kube/client/http-client.ts';
import { isAlreadyExists, isConflict, isInvalid, isNotFound, statusOf } from '../../kube/client/kube-error.ts';
import { LeaderElector, type Term } from '../../kube/controller/leader.ts';
import { leases } from '../../kube/controller/lease.ts';
import { eventually } from './eventually.ts';
import {
  definition,
  definitions,
  follow,
  furnish,
  group,
  namespace,
  namespaces,
  probe,
  probes,
  type Probe,
} from './probes.ts';

export type SuiteServer = { readonly client: HttpKubeClient; readonly close: () => Promise<void> };

/**
 * @param open returns a client of the server. If there is no server, it returns the reason, and every test is skipped
 */
export function describeKubeParts(name: string, open: () => Promise<SuiteServer | string>): void {
  describe(name, function () {
    this.timeout(120_000);
    let server: SuiteServer | undefined;
    let client: HttpKubeClient;

    before(async function () {
      const opened = await open();
      if (typeof opened === 'string') {
        console.log(`    skipped: ${opened}`);
        return this.skip();
      }
      server = opened;
      client = opened.client;
      await furnish(client);
    });

    after(async () => {
      if (server === undefined) return;
      await client.delete(namespaces, { name: namespace }).catch(() => {});
      await client.delete(definitions, definition.metadata).catch(() => {});
      await server.close();
    });

    afterEach(async () => {
      for (const { metadata } of (await client.list(probes, { namespace })).items) {
        await client.patchMetadata(probes, metadata as { name: string }, { finalizers: [] });
        await client.delete(probes, metadata).catch(() => {});
      }
    });

    partsOf(() => client);
  });
}

function partsOf(clientNow: () => HttpKubeClient): void {
  it('applies an object once: applying it again changes nothing', async () => {
    const client = clientNow();
    const first = await client.apply(probes, probe('a'), { fieldManager: 'kube-test', force: true });
    const second = await client.apply(probes, probe('a'), { fieldManager: 'kube-test', force: true });
    assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion);
    assert.equal(second.metadata.generation, 1);
  });

  it('names the invalid field, and the unknown field', async () => {
    const client = clientNow();
    await assert.rejects(
      client.apply(probes, probe('a', 0), { fieldManager: 'kube-test', force: true }),
      (error) => isInvalid(error) && /spec\.size/.test(String(error)),
    );
    const odd = { ...probe('a'), spec: { size: 1, sise: 2 } };
    await assert.rejects(
      client.apply(probes, odd as Probe, { fieldManager: 'kube-test', force: true }),
      (error) => statusOf(error) !== undefined && /sise/.test(String(error)),
    );
  });

  it('takes a field over only with force', async () => {
    const client = clientNow();
    await client.apply(probes, probe('a', 1), { fieldManager: 'someone', force: true });
    await assert.rejects(client.apply(probes, probe('a', 2), { fieldManager: 'kube-test', force: false }), isConflict);
    assert.equal((await client.apply(probes, probe('a', 2), { fieldManager: 'kube-test', force: true })).spec?.size, 2);
  });

  it('replaces the whole status at the given version, and only the status', async () => {
    const client = clientNow();
    const seen = await client.create(probes, probe('a'));
    const written = await client.replaceStatus(probes, seen, { phase: 'Ready', seen: ['x'] });
    assert.deepEqual(
      [written.status, written.spec, written.metadata.generation],
      [{ phase: 'Ready', seen: ['x'] }, { size: 1 }, 1],
    );
    await assert.rejects(client.replaceStatus(probes, seen, { phase: 'Old' }), isConflict);
    const next = await client.replaceStatus(probes, written, { phase: 'Done' });
    assert.deepEqual(next.status, { phase: 'Done' });
    // Writing the same status again must not cause a new resourceVersion or an event.
    const same = await client.replaceStatus(probes, next, { phase: 'Done' });
    assert.equal(same.metadata.resourceVersion, next.metadata.resourceVersion);
    await assert.rejects(
      client.replaceStatus(probes, { metadata: { ...next.metadata, uid: randomUUID() } }, { phase: 'Other' }),
      isConflict,
    );
  });

  it('does not write status on a spec that has changed since', async () => {
    const client = clientNow();
    const seen = await client.create(probes, probe('a'));
    await client.apply(probes, probe('a', 5), { fieldManager: 'user', force: true });
    await assert.rejects(client.replaceStatus(probes, seen, { phase: 'Ready' }), isConflict);
  });

  it('keeps a deleted object until its finalizer is removed', async () => {
    const client = clientNow();
    const made = await client.create(probes, {
      ...probe('a'),
      metadata: { name: 'a', namespace, finalizers: [`${group}/held`] },
    });
    assert.equal(await client.delete(probes, made.metadata, { uid: made.metadata.uid ?? '' }), false);
    const marked = await client.get(probes, made.metadata);
    await assert.rejects(
      client.patchMetadata(probes, made.metadata as { name: string }, { finalizers: [] }),
      isConflict,
    );
    await client.patchMetadata(probes, marked.metadata as { name: string }, { finalizers: [] });
    await assert.rejects(client.get(probes, made.metadata), isNotFound);
  });

  it('deletes only the object with the given uid, and creates an object only once', async () => {
    const client = clientNow();
    await client.create(probes, probe('a'));
    await assert.rejects(client.create(probes, probe('a')), isAlreadyExists);
    await assert.rejects(client.delete(probes, probe('a').metadata, { uid: randomUUID() }), isConflict);
    assert.equal(await client.delete(probes, probe('a').metadata), true);
  });

  it('pages through a list and watches from there', async () => {
    const client = clientNow();
    for (let i = 0; i < 25; i += 1) await client.create(probes, probe(`p${i}`));
    const watching = await follow(client);
    assert.equal(watching.reflector.cache.size, 25);
    await client.apply(probes, probe('p3', 9), { fieldManager: 'kube-test', force: true });
    await client.delete(probes, probe('p4').metadata);
    await eventually(
      'both changes',
      () => watching.told.includes('updated p3') && watching.told.includes('deleted p4'),
    );
    assert.equal(watching.reflector.cache.get(`${namespace}/p3`)?.metadata.managedFields, undefined);
    await watching.stop();
  });

  it('writes valid Events, and counts up a series', async () => {
    const client = clientNow();
    const about = await client.create(probes, probe('a'));
    const recorder = new EventRecorder({
      client,
      clock: systemClock,
      registry: createRegistry(),
      logger: silentLogger,
      controller: `${group}/test`,
      instance: 'pod-1',
    });
    recorder.say({ about, type: 'Warning', reason: 'OOMKilled', action: 'Starting', note: 'out of memory' });
    const find = async (): Promise<number | undefined> =>
      (await client.list(events, { namespace, fieldSelector: `reason=OOMKilled` })).items.map(
        (event) => event.series?.count ?? 1,
      )[0];
    await eventually('the event', async () => (await find()) === 1);
    recorder.say({ about, type: 'Warning', reason: 'OOMKilled', action: 'Starting', note: 'out of memory' });
    await recorder.close(5000);
    assert.equal(await find(), 2);
  });

  it('elects one leader of three, and another at once after a release', async () => {
    const client = clientNow();
    const lease = { namespace, name: 'election' };
    const elector = (identity: string): LeaderElector =>
      new LeaderElector({
        client,
        clock: systemClock,
        registry: createRegistry(),
        logger: silentLogger,
        lease,
        identity,
        leaseMs: 4000,
        renewDeadlineMs: 3000,
        retryMs: 300,
      });
    const stop = new AbortController();
    const terms: Term[] = [];
    const campaigns = ['a', 'b', 'c'].map((identity) =>
      elector(identity)
        .campaign(stop.signal)
        .then((term) => {
          if (term !== undefined) terms.push(term);
        }),
    );
    await eventually('a leader', () => terms.length > 0);
    await systemClock.sleep(1500);
    assert.equal(terms.length, 1);
    await terms[0]?.release();
    await eventually('its successor', () => terms.length === 2);
    assert.deepEqual(
      terms.map((term) => term.isCurrent()),
      [false, true],
    );
    stop.abort();
    await Promise.all(campaigns);
    await terms[1]?.release();
    assert.equal((await client.get(leases, lease)).spec?.leaseTransitions, 1);
  });
}
