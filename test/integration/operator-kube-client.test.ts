/** The Kubernetes client over real sockets: its requests, its retries, and its errors. */
import assert from 'node:assert/strict';
import type { HttpKubeClient } from '../../kube/client/http-client.ts';
import { isConflict, isNotFound, statusOf } from '../../kube/client/kube-error.ts';
import { eventually } from '../support/eventually.ts';
import { misdeeds, things, type Misdeed, type Thing } from '../support/hostile-api.ts';
import { endWorlds, hostileWorld } from '../support/hostile-world.ts';

describe('HttpKubeClient', () => {
  afterEach(endWorlds);

  const thing: Thing = { apiVersion: 'test.dev/v1', kind: 'Thing', metadata: { name: 'x', namespace: 'default' } };
  const ok: Misdeed = (_, response) =>
    void response.end(JSON.stringify({ ...thing, metadata: { ...thing.metadata, uid: 'u', resourceVersion: '1' } }));

  it('repeats a write after the time in Retry-After', async () => {
    const { api, client } = await hostileWorld();
    api.nextOthers.push(misdeeds.status(429, 'TooManyRequests', { headers: { 'retry-after': '1' } }), ok);
    assert.equal((await client.apply(things, thing, { fieldManager: 'x', force: true })).metadata.uid, 'u');
    assert.equal(api.seen.others, 2);
  });

  it('returns a long Retry-After to its caller', async () => {
    const { api, client } = await hostileWorld();
    api.nextOthers.push(misdeeds.status(429, 'TooManyRequests', { headers: { 'retry-after': '60' } }));
    await assert.rejects(
      client.apply(things, thing, { fieldManager: 'x', force: true }),
      (error) => statusOf(error)?.afterMs === 60_000,
    );
    assert.equal(api.seen.others, 1);
  });

  for (const { status, holds } of [
    { status: 429, holds: true },
    { status: 503, holds: true },
    { status: 500, holds: false },
  ]) {
    it(`${holds ? 'holds' : 'does not hold'} other requests for the Retry-After of a ${status}`, async () => {
      const { api, client } = await hostileWorld();
      const busy = misdeeds.status(status, 'Busy', { headers: { 'retry-after': '60' } });
      api.nextOthers.push(busy, ok);
      await assert.rejects(client.get(things, thing.metadata), (error) => statusOf(error)?.status === status);
      const other = client.get(things, { name: 'y', namespace: 'default' });
      if (holds) await assert.rejects(other, (error) => (statusOf(error)?.afterMs ?? 0) > 50_000);
      else assert.equal((await other).metadata.uid, 'u');
      assert.equal(api.seen.others, holds ? 1 : 2);
    });
  }

  it('holds the start of a watch while the server has asked the client to wait', async () => {
    const { api, client } = await hostileWorld();
    api.nextOthers.push(misdeeds.status(429, 'TooManyRequests', { headers: { 'retry-after': '60' } }));
    await assert.rejects(client.get(things, thing.metadata));
    const watch = client.watch(things, { resourceVersion: '1', timeoutSeconds: 60 }, new AbortController().signal);
    await assert.rejects(watch.next(), (error) => statusOf(error)?.status === 429);
    assert.equal(api.seen.watches, 0);
  });

  it('repeats a read once when a reused connection is dead, but never a write', async () => {
    const { api, client } = await hostileWorld();
    api.nextOthers.push(misdeeds.reset(), ok);
    assert.equal((await client.get(things, thing.metadata)).metadata.uid, 'u');
    api.nextOthers.push(misdeeds.reset(), ok);
    await assert.rejects(client.apply(things, thing, { fieldManager: 'x', force: true }), { code: 'KUBE_UNREACHABLE' });
    assert.equal(api.seen.others, 3);
  });

  it('fails at the deadline, and names the request', async () => {
    const { api, client } = await hostileWorld({ deadlineMs: 100 });
    api.nextOthers.push(misdeeds.noAnswer());
    await assert.rejects(client.get(things, thing.metadata), {
      code: 'KUBE_UNREACHABLE',
      message: /no answer to GET \/apis\/test\.dev\/v1\/namespaces\/default\/things\/x in time/,
    });
    await eventually('the connection to be given up', () => api.openConnections === 0);
  });

  it('closes all reused connections when one does not answer, and repeats the read on a new connection', async () => {
    const { api, client } = await hostileWorld({ deadlineMs: 2000 });
    api.nextOthers.push(ok);
    await client.get(things, thing.metadata);
    api.nextOthers.push(misdeeds.noAnswer(), ok);
    const answer = client.get(things, thing.metadata);
    await eventually('the request', () => api.seen.others === 2);
    const before = api.seen.connections;
    assert.equal((await answer).metadata.uid, 'u');
    assert.deepEqual([api.seen.others, api.seen.connections], [3, before + 1]);
  });

  it('fails at the deadline when the body does not end', async () => {
    const { api, client } = await hostileWorld({ deadlineMs: 100 });
    api.nextOthers.push((_, response) => {
      response.write('{"a":');
    });
    await assert.rejects(client.get(things, thing.metadata), { code: 'KUBE_UNREACHABLE' });
  });

  it("fails with the signal's reason when the caller aborts", async () => {
    const { api, client } = await hostileWorld();
    api.nextOthers.push(misdeeds.noAnswer());
    const stop = new AbortController();
    const call = client.get(things, thing.metadata, { signal: stop.signal });
    await eventually('the request', () => api.seen.others === 1);
    stop.abort(new Error('enough'));
    await assert.rejects(call, /enough/);
  });

  it('stops reading at the size limit of an object', async () => {
    const { api, client } = await hostileWorld();
    api.nextOthers.push(misdeeds.flood(64 * 2 ** 20));
    await assert.rejects(client.get(things, thing.metadata), {
      code: 'KUBE_ANSWER_UNUSABLE',
      message: /longer than 8388608 bytes/,
    });
  });

  it('explains an error page that is not a Status', async () => {
    const { api, client } = await hostileWorld();
    api.nextOthers.push((_, response) => void response.writeHead(502).end('<html>Bad gateway</html>'));
    await assert.rejects(
      client.get(things, thing.metadata),
      (error) => statusOf(error)?.status === 502 && /Bad gateway/.test(String(error)),
    );
  });

  it('refuses an answer that is not an object', async () => {
    const { api, client } = await hostileWorld();
    api.nextOthers.push((_, response) => void response.end('[]'));
    await assert.rejects(client.get(things, thing.metadata), {
      code: 'KUBE_ANSWER_UNUSABLE',
      message: /the object is not of kind Thing/,
    });
  });

  it('reports a refused connection with the address', async () => {
    const { api, client, server } = await hostileWorld();
    await api.stop();
    await assert.rejects(client.get(things, thing.metadata), {
      code: 'KUBE_UNREACHABLE',
      message: new RegExp(`${server}.*ECONNREFUSED`),
    });
  });

  type Row = {
    name: string;
    call: (client: HttpKubeClient) => Promise<unknown>;
    want: string;
    body?: unknown;
    type?: string;
  };
  const rows: Row[] = [
    {
      name: 'applies as JSON under the content type of server-side apply',
      call: (c) => c.apply(things, thing, { fieldManager: 'me', force: true }),
      want: 'PATCH /apis/test.dev/v1/namespaces/default/things/x?fieldManager=me&force=true&fieldValidation=Strict',
      body: thing,
      type: 'application/apply-patch+yaml',
    },
    {
      name: 'writes only the status, with the resourceVersion of the object',
      call: (c) =>
        c.replaceStatus(
          things,
          { metadata: { ...thing.metadata, uid: 'u', resourceVersion: '7', labels: { a: 'b' } } },
          { phase: 'Ready' },
        ),
      want: 'PUT /apis/test.dev/v1/namespaces/default/things/x/status?fieldManager=test&fieldValidation=Strict',
      body: {
        apiVersion: 'test.dev/v1',
        kind: 'Thing',
        metadata: { name: 'x', namespace: 'default', uid: 'u', resourceVersion: '7' },
        status: { phase: 'Ready' },
      },
      type: 'application/json',
    },
    {
      name: 'removes a finalizer, guarded by the resourceVersion',
      call: (c) =>
        c.patchMetadata(
          things,
          { name: 'x', namespace: 'default', resourceVersion: '7' },
          { finalizers: [], annotations: { gone: null } },
        ),
      want: 'PATCH /apis/test.dev/v1/namespaces/default/things/x?fieldManager=test',
      body: { metadata: { resourceVersion: '7', finalizers: [], annotations: { gone: null } } },
      type: 'application/merge-patch+json',
    },
    {
      name: 'deletes an object, guarded by its uid',
      call: (c) => c.delete(things, thing.metadata, { uid: 'u', propagation: 'Foreground' }),
      want: 'DELETE /apis/test.dev/v1/namespaces/default/things/x',
      body: { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Foreground', preconditions: { uid: 'u' } },
      type: 'application/json',
    },
    {
      name: 'creates in the namespace of the object',
      call: (c) => c.create(things, thing),
      want: 'POST /apis/test.dev/v1/namespaces/default/things?fieldManager=test',
      body: thing,
      type: 'application/json',
    },
  ];
  for (const row of rows) {
    it(row.name, async () => {
      const { api, client } = await hostileWorld();
      const sent: { line: string; type: string | undefined; body: unknown }[] = [];
      api.nextOthers.push((request, response) => {
        let text = '';
        request.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        request.on('end', () => {
          sent.push({
            line: `${request.method} ${request.url}`,
            type: request.headers['content-type'],
            body: JSON.parse(text),
          });
          ok(request, response);
        });
      });
      await row.call(client);
      assert.deepEqual(sent, [{ line: row.want, type: row.type, body: row.body }]);
    });
  }

  it('distinguishes deleted objects from objects with finalizers', async () => {
    const { api, client } = await hostileWorld();
    api.nextOthers.push((_, response) => void response.end(JSON.stringify({ kind: 'Status', status: 'Success' })));
    assert.equal(await client.delete(things, thing.metadata), true);
    api.nextOthers.push(
      (_, response) =>
        void response.end(
          JSON.stringify({ ...thing, metadata: { ...thing.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } }),
        ),
    );
    assert.equal(await client.delete(things, thing.metadata), false);
    await assert.rejects(client.delete(things, thing.metadata), isNotFound);
    api.nextOthers.push(misdeeds.status(409, 'Conflict'));
    await assert.rejects(client.delete(things, thing.metadata), isConflict);
  });

  it('counts requests by code', async () => {
    const { api, client, metrics } = await hostileWorld();
    api.nextOthers.push(ok, misdeeds.status(409, 'Conflict'), misdeeds.reset(), misdeeds.reset());
    await client.get(things, thing.metadata);
    await assert.rejects(client.get(things, thing.metadata));
    await assert.rejects(client.get(things, thing.metadata));
    const text = await metrics();
    assert.match(text, /rest_client_requests_total\{code="200",method="GET",host="127\.0\.0\.1:\d+"\} 1/);
    assert.match(text, /rest_client_requests_total\{code="409",method="GET",host="127\.0\.0\.1:\d+"\} 1/);
    assert.match(text, /rest_client_requests_total\{code="<error>",method="GET",host="127\.0\.0\.1:\d+"\} 2/);
  });
});
