/**
 * The controller's parts while the test kills a real kube-apiserver and etcd, cuts connections to them, and compacts
 * etcd.
 *
 * Needs KUBEBUILDER_ASSETS, a folder with the programs etcd and kube-apiserver, and is skipped without it. Does not use
 * the cluster of KUBECONFIG, because the test kills its API server.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { createRegistry } from '../../lib/metrics.ts';
import type { HttpKubeClient } from '../../kube/client/http-client.ts';
import { LeaderElector, type Term } from '../../kube/controller/leader.ts';
import { eventually } from '../support/eventually.ts';
import { clientOf, follow, furnish, namespace, probe, probes, type Watching } from '../support/probes.ts';
import { RealApiServer } from '../support/real-api-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];

describe('a real API server that is killed', function () {
  this.timeout(180_000);
  let server: RealApiServer;
  let proxy: TcpProxy;
  /** Connects through the proxy. The test makes its changes with `hand`, which connects directly. */
  let client: HttpKubeClient;
  let hand: HttpKubeClient;
  let watching: Watching;

  before(async function () {
    if (assets === undefined) {
      console.log('    skipped: KUBEBUILDER_ASSETS is not set (the cluster of KUBECONFIG must not be killed)');
      return this.skip();
    }
    server = await RealApiServer.start(assets);
    proxy = new TcpProxy({ host: '127.0.0.1', port: server.port });
    const through = `${server.kubeconfig}-proxy`;
    await writeFile(through, server.kubeconfigFor(`https://127.0.0.1:${await proxy.start()}`));
    hand = await clientOf(server.kubeconfig);
    client = await clientOf(through);
    await furnish(hand);
  });

  after(async () => {
    await client?.close();
    await hand?.close();
    await proxy?.stop();
    await server?.stop();
  });

  beforeEach(async () => {
    for (const { metadata } of (await hand.list(probes, { namespace })).items) await hand.delete(probes, metadata);
    await hand.create(probes, probe('a'));
    watching = await follow(client, 4000);
    // The reflector has listed already, so an event of a later object shows that its watch is open.
    await hand.create(probes, probe('w'));
    await eventually('the watch', () => watching.told.includes('added w'));
  });

  afterEach(async () => {
    proxy.refuse(false);
    await watching.stop();
  });

  const put = (name: string): Promise<unknown> =>
    eventually(`${name} to be written`, () =>
      hand.apply(probes, probe(name), { fieldManager: 'kube-test', force: true }),
    );
  const isTold = (what: string): Promise<true> => eventually(what, () => watching.told.includes(what));

  it('misses no event over twenty cut connections, and lists once', async () => {
    for (let i = 0; i < 20; i += 1) {
      await put(`cut${i}`);
      proxy.cut();
    }
    for (let i = 0; i < 20; i += 1) await isTold(`added cut${i}`);
    assert.equal(watching.told.length, 22);
    assert.equal(await watching.metric('reflector_lists_total'), 1);
  });

  it('recovers from connections that are open but dead', async () => {
    proxy.stall();
    await put('b');
    await isTold('added b');
    assert.equal(await watching.metric('reflector_lists_total'), 1);
  });

  it('misses no event when the API server is killed', async () => {
    await put('before');
    await server.kill('kube-apiserver');
    await server.revive('kube-apiserver');
    await put('after');
    await hand.delete(probes, probe('before').metadata);
    for (const what of ['added before', 'added after', 'deleted before']) await isTold(what);
    // Sort the changes, because their order differs: a new list reports deletions first, a resumed watch does not.
    assert.deepEqual(watching.told.toSorted(), ['added a', 'added after', 'added before', 'added w', 'deleted before']);
  });

  it('misses no event when etcd is killed', async () => {
    await put('before');
    await server.kill('etcd');
    await server.revive('etcd');
    await put('after');
    for (const what of ['added before', 'added after']) await isTold(what);
    assert.deepEqual(watching.told, ['added a', 'added w', 'added before', 'added after']);
  });

  it('lists again after its resourceVersion was compacted, and reports deletions and creations meanwhile', async () => {
    proxy.refuse(true);
    proxy.cut();
    await hand.delete(probes, probe('a').metadata);
    await put('b');
    await server.kill('kube-apiserver');
    await server.revive('kube-apiserver');
    await put('a');
    await server.compact();
    await put('c');
    proxy.refuse(false);
    await isTold('added c');
    assert.deepEqual(watching.told.toSorted(), ['added a', 'added a', 'added b', 'added c', 'added w', 'deleted a']);
    assert.equal(await watching.metric('reflector_lists_total'), 2);
  });

  it('never has two leaders while the API server is killed', async () => {
    const lease = { namespace, name: 'election' };
    const stop = new AbortController();
    const current = new Set<Term>();
    const overlaps: number[] = [];
    const look = setInterval(() => overlaps.push([...current].filter((term) => term.isCurrent()).length), 5);
    const replica = async (identity: string): Promise<void> => {
      // A real process that loses its lease exits and is restarted. The test campaigns again instead.
      while (!stop.signal.aborted) {
        const elector = new LeaderElector({
          client: hand,
          clock: systemClock,
          registry: createRegistry(),
          logger: silentLogger,
          lease,
          identity,
          leaseMs: 4000,
          renewDeadlineMs: 2500,
          retryMs: 300,
        });
        const term = await elector.campaign(stop.signal);
        if (term === undefined) return;
        current.add(term);
        await new Promise<void>((resolve) => {
          term.lost.addEventListener('abort', () => resolve(), { once: true });
          stop.signal.addEventListener('abort', () => resolve(), { once: true });
        });
        await term.release();
        current.delete(term);
      }
    };
    const replicas = ['a', 'b'].map(replica);
    await eventually('a leader', () => current.size > 0);
    await server.kill('kube-apiserver');
    await systemClock.sleep(4500);
    assert.equal([...current].filter((term) => term.isCurrent()).length, 0, 'without renewals there is no leader');
    await server.revive('kube-apiserver');
    await eventually('a leader again', () => [...current].some((term) => term.isCurrent()));
    stop.abort();
    await Promise.all(replicas);
    clearInterval(look);
    assert.equal(Math.max(...overlaps), 1);
  });
});
