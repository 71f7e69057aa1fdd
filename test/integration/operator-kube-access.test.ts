/** Credentials from a kubeconfig, and the operator's health endpoints. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../lib/clock.ts';
import { serveHttp } from '../../lib/http-serve.ts';
import { createRegistry } from '../../lib/metrics.ts';
import { loadAccess } from '../../kube/client/access.ts';
import { cachesHeard, cachesSynced, healthApp } from '../../kube/controller/health.ts';
import { statusOf } from '../../kube/client/kube-error.ts';
import { eventually } from '../support/eventually.ts';
import { misdeeds, things } from '../support/hostile-api.ts';
import { endWorlds, hostileWorld } from '../support/hostile-world.ts';

describe('loadAccess', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kube-access-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));
  afterEach(endWorlds);

  const kubeconfig = async (server: string, user: Record<string, unknown>): Promise<string> => {
    const path = join(folder, 'config');
    const text = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'k', user: 'u', namespace: 'ml' } }],
      clusters: [{ name: 'k', cluster: { server, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'u', user }],
    };
    await writeFile(path, JSON.stringify(text));
    return path;
  };

  it('sends the token of a kubeconfig, and reads its namespace', async () => {
    const { api, client } = await hostileWorld({
      access: async (server) =>
        loadAccess({ kubeconfig: await kubeconfig(server, { token: 'secret-1' }) }, systemClock),
    });
    await client.list(things, {});
    assert.equal(api.lastAuthorization, 'Bearer secret-1');
    assert.equal(
      (await loadAccess({ kubeconfig: await kubeconfig('http://127.0.0.1:1', {}) }, systemClock)).namespace,
      'ml',
    );
  });

  it('reads the credentials again after a 401, and retries once', async () => {
    let rotate = (): Promise<unknown> => Promise.resolve();
    const { api, client } = await hostileWorld({
      access: async (server) => {
        const path = await kubeconfig(server, { token: 'secret-1' });
        rotate = () => kubeconfig(server, { token: 'secret-2' });
        return loadAccess({ kubeconfig: path }, systemClock);
      },
    });
    await client.list(things, {});
    await rotate();
    api.nextLists.push(misdeeds.status(401, 'Unauthorized'));
    await client.list(things, {});
    assert.equal(api.lastAuthorization, 'Bearer secret-2');
    api.nextLists.push(misdeeds.status(401, 'Unauthorized'), misdeeds.status(401, 'Unauthorized'));
    await assert.rejects(client.list(things, {}), (error) => statusOf(error)?.status === 401);
    assert.equal(api.seen.lists, 5);
  });

  it('opens a watch again with fresh credentials after a 401, once', async () => {
    let rotate = (): Promise<unknown> => Promise.resolve();
    const { api, client } = await hostileWorld({
      access: async (server) => {
        const path = await kubeconfig(server, { token: 'secret-1' });
        rotate = () => kubeconfig(server, { token: 'secret-2' });
        return loadAccess({ kubeconfig: path }, systemClock);
      },
    });
    const { resourceVersion } = await client.list(things, {});
    await rotate();
    const refused = misdeeds.status(401, 'Unauthorized');
    const end = new AbortController();
    const watch = client.watch(things, { resourceVersion, timeoutSeconds: 60 }, end.signal);
    api.nextWatches.push(refused);
    const first = watch[Symbol.asyncIterator]().next();
    await eventually('the watch', () => api.openWatches === 1);
    assert.equal(api.lastAuthorization, 'Bearer secret-2');
    end.abort();
    await first.catch(() => {});
    api.nextWatches.push(refused, refused);
    const denied = client.watch(things, { resourceVersion, timeoutSeconds: 60 }, new AbortController().signal);
    await assert.rejects(denied[Symbol.asyncIterator]().next(), (error) => statusOf(error)?.status === 401);
    assert.equal(api.seen.watches, 4);
  });

  it('runs an exec plugin for a token', async () => {
    const credential = JSON.stringify({
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'from-plugin' },
    });
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: process.execPath,
      args: ['-e', `console.log(${JSON.stringify(credential)})`],
      interactiveMode: 'Never',
    };
    const { api, client } = await hostileWorld({
      access: async (server) => loadAccess({ kubeconfig: await kubeconfig(server, { exec }) }, systemClock),
    });
    await client.list(things, {});
    assert.equal(api.lastAuthorization, 'Bearer from-plugin');
  });

  it('reports the error of an exec plugin that fails, and ends a plugin that hangs', async () => {
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: process.execPath,
      args: ['-e', 'console.error("no ticket"); process.exit(1)'],
    };
    const failing = await hostileWorld({
      access: async (server) => loadAccess({ kubeconfig: await kubeconfig(server, { exec }) }, systemClock),
    });
    await assert.rejects(failing.client.list(things, {}), { code: 'BAD_CONFIG', message: /no ticket/ });
    const hanging = { ...exec, args: ['-e', 'setTimeout(() => {}, 2000)'] };
    const slow = await hostileWorld({
      access: async (server) => loadAccess({ kubeconfig: await kubeconfig(server, { exec: hanging }) }, systemClock),
      deadlineMs: 200,
    });
    await assert.rejects(slow.client.list(things, {}, { deadlineMs: 200 }), { code: 'KUBE_UNREACHABLE' });
  });

  it('has no credentials while the kubeconfig names another server than at the start', async () => {
    const path = await kubeconfig('https://one', { token: 'secret-1' });
    const access = await loadAccess({ kubeconfig: path }, systemClock);
    await kubeconfig('https://two', { token: 'secret-2' });
    access.forget();
    await assert.rejects(access.credentials(), {
      code: 'BAD_CONFIG',
      message: /no credentials: the kubeconfig now names the server https:\/\/two instead of https:\/\/one/,
    });
    await kubeconfig('https://one', { token: 'secret-3' });
    assert.equal((await access.credentials()).headers['authorization'], 'Bearer secret-3');
  });

  for (const server of ['', 'api:6443', 'ftp://api']) {
    it(`refuses the server '${server}'`, async () => {
      await assert.rejects(loadAccess({ kubeconfig: await kubeconfig(server, { token: 'a' }) }, systemClock), {
        code: 'BAD_CONFIG',
        message: new RegExp(`server '${server}' is not a URL with http: or https:`),
      });
    });
  }

  it('refuses a missing file, and a context whose cluster is missing', async () => {
    await assert.rejects(loadAccess({ kubeconfig: join(folder, 'nope') }, systemClock), {
      code: 'BAD_CONFIG',
      message: /nope.*no such file/,
    });
    const path = await kubeconfig('http://127.0.0.1:1', {});
    await assert.rejects(loadAccess({ kubeconfig: path, context: 'other' }, systemClock), {
      code: 'BAD_CONFIG',
      message: /context 'other'/,
    });
  });

  it('refuses a context whose user is missing, and leaves one without a user anonymous', async () => {
    const path = await kubeconfig('http://127.0.0.1:1', { token: 'a' });
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('"user":"u"', '"user":"other"'));
    await assert.rejects(loadAccess({ kubeconfig: path }, systemClock), {
      code: 'BAD_CONFIG',
      message: /config: context 'c' refers to the user 'other', which the file does not contain/,
    });
    await writeFile(path, text.replace('"user":"u",', ''));
    const anonymous = await loadAccess({ kubeconfig: path }, systemClock);
    assert.deepEqual((await anonymous.credentials()).headers, {});
  });

  // prettier-ignore
  const proxies: readonly { readonly name: string; readonly url: string; readonly says: RegExp }[] = [
    { name: 'a SOCKS proxy', url: 'socks5://127.0.0.1:1080',
      says: /a SOCKS proxy \(proxy-url 'socks5:'\) is not supported: set proxy-url to an HTTP proxy .*, or remove it/ },
    { name: 'a proxy of another protocol', url: 'ftp://proxy',
      says: /proxy-url 'ftp:' is not supported: set proxy-url to an HTTP proxy \(http: or https:\)$/ },
    { name: 'a proxy without a protocol', url: 'proxy', says: /proxy-url 'proxy' is not a URL/ },
  ];
  for (const { name, url, says } of proxies) {
    it(`refuses ${name}`, async () => {
      const path = await kubeconfig('https://api', { token: 'a' });
      const text = await readFile(path, 'utf8');
      await writeFile(path, text.replace('"server"', `"proxy-url":"${url}","server"`));
      await assert.rejects(loadAccess({ kubeconfig: path }, systemClock), { code: 'BAD_CONFIG', message: says });
    });
  }
});

describe('healthApp', () => {
  it('is ready when the caches are synced, is live while they receive events, and exposes metrics', async () => {
    const pods = { synced: false, silentMs: 0 };
    const app = healthApp({
      registry: createRegistry(),
      live: { watches: cachesHeard({ pods }) },
      ready: { caches: cachesSynced({ pods }) },
    });
    const server = await serveHttp(app, '127.0.0.1', 0);
    const get = async (path: string): Promise<[number, string]> => {
      const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
      return [response.status, await response.text()];
    };
    try {
      assert.deepEqual(await get('/healthz'), [200, '[+] watches ok\nok\n']);
      assert.deepEqual(await get('/readyz'), [503, '[+] watches ok\n[-] caches: waiting for pods\nnot ok\n']);
      pods.synced = true;
      assert.equal((await get('/readyz'))[0], 200);
      pods.silentMs = 700_000;
      assert.deepEqual(await get('/livez'), [503, '[-] watches: no watch event for pods in 600 s\nnot ok\n']);
      assert.equal((await get('/metrics'))[0], 200);
      assert.equal((await get('/else'))[0], 404);
    } finally {
      await server.close();
    }
  });
});
