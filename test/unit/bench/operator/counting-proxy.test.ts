/** The counting proxy in front of local mode's API server. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { CountingProxy } from '../../../../bench/operator/counting-proxy.ts';
import { systemClock } from '../../../../lib/clock.ts';
import { silentLogger } from '../../../../lib/log.ts';
import { startApiServer, type LocalApiServer } from '../../../../local/api-server/server.ts';

describe('CountingProxy', () => {
  let server: LocalApiServer;
  let proxy: CountingProxy;
  let url: string;

  beforeEach(async () => {
    server = await startApiServer({ clock: systemClock, logger: silentLogger });
    proxy = new CountingProxy({ server: server.url, token: server.token });
    url = await proxy.start();
  });

  afterEach(async () => {
    await proxy.close();
    await server.close();
  });

  const configMaps = '/api/v1/namespaces/default/configmaps';
  const create = (name: string): Promise<Response> =>
    fetch(url + configMaps, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } }),
    });

  it('passes requests with credentials, and counts them and those that were refused', async () => {
    assert.equal((await create('a')).status, 201);
    assert.equal((await create('a')).status, 409);
    assert.equal((await fetch(`${url}${configMaps}/a`)).status, 200);
    assert.deepEqual(proxy.counts, { 'create configmaps': 2, 'get configmaps': 1 });
    assert.deepEqual(proxy.refusals, { '409 create configmaps': 1 });
  });

  it('passes the events of a watch as they come, and is quiet meanwhile', async () => {
    const request = get(`${url}${configMaps}?watch=true`);
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    assert.ok(proxy.quietMs > 0);
    await create('b');
    const [event] = (await once(answer.setEncoding('utf8'), 'data')) as [string];
    assert.equal((JSON.parse(event) as { type: string }).type, 'ADDED');
    request.destroy();
  });

  it('breaks the connection when the API server cannot be reached', async () => {
    await server.close();
    await assert.rejects(fetch(`${url}${configMaps}`));
  });
});
