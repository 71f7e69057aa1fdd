/** The API server over real sockets: authentication, injected faults, and closing. */
import assert from 'node:assert/strict';
import { request } from 'node:https';
import { connect } from 'node:tls';
import { AppError } from '../../../../../api/errors.ts';
import { systemClock } from '../../../../../lib/clock.ts';
import { silentLogger } from '../../../../../lib/log.ts';
import { startApiServer, type LocalApiServer } from '../../../../../local/api-server/server.ts';
import { KubeApi } from '../../../../conformance/kube/api.ts';
import { eventually } from '../../../../support/eventually.ts';

describe('startApiServer', () => {
  let server: LocalApiServer;
  let api: KubeApi;
  beforeEach(async () => {
    server = await startApiServer({ clock: systemClock, logger: silentLogger, bookmarkMs: 20 });
    api = new KubeApi(server.kubeconfig());
  });
  afterEach(async () => {
    await api.close();
    await server.close();
  });

  const status = (headers: Record<string, string>, path = '/api/v1/namespaces'): Promise<number> =>
    new Promise((resolve, reject) => {
      request(`${server.url}${path}`, { headers, ca: server.certificate }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      })
        .on('error', reject)
        .end();
    });

  it('serves only clients with the token', async () => {
    assert.equal(await status({ authorization: `Bearer ${server.token}` }), 200);
    assert.equal(await status({}), 401);
    assert.equal(await status({ authorization: 'Bearer wrong' }), 401);
    assert.equal(await status({ authorization: `Basic ${server.token}` }), 401);
  });

  it('answers health and version without a token', async () => {
    for (const path of ['/healthz', '/livez', '/readyz', '/version']) assert.equal(await status({}, path), 200);
  });

  it('reports a port that is taken', async () => {
    await assert.rejects(
      startApiServer({ clock: systemClock, logger: silentLogger, port: server.port }),
      (error: unknown) => error instanceof AppError && error.code === 'PORT_TAKEN',
    );
  });

  it('survives a client that sends invalid bytes', async () => {
    const socket = connect({ host: '127.0.0.1', port: server.port, ca: server.certificate, servername: 'localhost' });
    await new Promise<void>((resolve) => socket.once('secureConnect', () => resolve()));
    socket.write('\u0000\u0001nonsense\r\n\r\n');
    await new Promise<void>((resolve) => socket.once('close', () => resolve()).resume());
    assert.equal((await api.get('/api')).status, 200);
  });

  it('refuses a body that is nested too deeply', async () => {
    const body =
      `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"deep"},"data":${'['.repeat(400)}` +
      `${']'.repeat(400)}}`;
    const answer = await api.post('/api/v1/namespaces/default/configmaps', body);
    assert.deepEqual([answer.status, answer.body.message], [400, 'the object is nested deeper than 200 levels']);
  });

  it('sends bookmarks to watchers that ask for them', async () => {
    const watch = await api.watch(
      '/api/v1/namespaces/default/configmaps?watch=true&allowWatchBookmarks=true&resourceVersion=0',
    );
    const bookmark = await watch.until('a bookmark', (event) => event.type === 'BOOKMARK');
    assert.deepEqual([bookmark.object.kind, typeof bookmark.object.metadata.resourceVersion], ['ConfigMap', 'string']);
    watch.close();
  });

  it('closes while a watch is open', async () => {
    const watch = await api.watch('/api/v1/namespaces?watch=true');
    await server.close();
    await watch.untilEnd();
  });

  describe('faults', () => {
    it('refuse the given number of requests', async () => {
      server.faults.add({
        kind: 'refuse',
        code: 429,
        reason: 'TooManyRequests',
        retryAfterSeconds: 3,
        times: 2,
        matches: ({ method }) => method === 'GET',
      });
      const first = await api.get('/api/v1/namespaces');
      assert.deepEqual(
        [first.status, first.headers['retry-after'], first.body.reason, first.body.details],
        [429, '3', 'TooManyRequests', { retryAfterSeconds: 3 }],
      );
      assert.equal((await api.get('/api/v1/namespaces')).status, 429);
      assert.equal((await api.get('/api/v1/namespaces')).status, 200);
    });

    it('apply only to matching requests, until they are removed', async () => {
      const end = server.faults.add({
        kind: 'refuse',
        code: 500,
        reason: 'InternalError',
        matches: ({ path }) => path.endsWith('/pods'),
      });
      assert.deepEqual(
        [(await api.get('/api/v1/pods')).status, (await api.get('/api/v1/services')).status],
        [500, 200],
      );
      end();
      assert.equal((await api.get('/api/v1/pods')).status, 200);
    });

    it('break connections', async () => {
      server.faults.add({ kind: 'reset', times: 1 });
      await assert.rejects(api.get('/api/v1/namespaces'));
      assert.equal((await api.get('/api/v1/namespaces')).status, 200);
    });

    it('delay an answer', async () => {
      server.faults.add({ kind: 'delay', ms: 30, times: 1 });
      assert.equal((await api.get('/api/v1/namespaces')).status, 200);
    });

    it('end, break and silence watches', async () => {
      const open = (): Promise<Awaited<ReturnType<KubeApi['watch']>>> =>
        api.watch('/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=0');
      const [ended, silent] = [await open(), undefined];
      assert.equal(silent, undefined);
      server.faults.closeWatches();
      await ended.untilEnd();
      const broken = await open();
      server.faults.resetWatches();
      await broken.untilEnd();
      const stalled = await open();
      server.faults.stallWatches();
      const heard = await open();
      await api.post('/api/v1/namespaces/default/configmaps', {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'a' },
      });
      await heard.until('the object', (event) => event.object.metadata.name === 'a');
      assert.deepEqual([stalled.events, stalled.ended, server.faults.openWatches], [[], false, 2]);
      for (const watch of [stalled, heard]) watch.close();
      await eventually('the watches to end', () => server.faults.openWatches === 0);
    });

    it('expire older resourceVersions', async () => {
      const { body } = await api.get('/api/v1/namespaces/default/configmaps');
      await api.post('/api/v1/namespaces/default/configmaps', {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'a' },
      });
      server.faults.expireEvents();
      const watch = await api.watch(
        `/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=${body.metadata.resourceVersion}`,
      );
      const event = await watch.until('the error', (one) => one.type === 'ERROR');
      assert.equal(event.object.code, 410);
    });
  });
});
