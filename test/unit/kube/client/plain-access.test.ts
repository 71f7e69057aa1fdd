/** Which kubeconfigs are read without client-node, and which need it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { plainAccess, type Surroundings } from '../../../../kube/client/plain-access.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

function kubeconfig(cluster: object, user: object, context: object = {}): string {
  return JSON.stringify({
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'k', user: 'u', ...context } }],
    clusters: [{ name: 'k', cluster: { server: 'https://api:6443', ...cluster } }],
    users: [{ name: 'u', user }],
  });
}

describe('plainAccess', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'plain-access-'));
    await writeFile(join(folder, 'token'), 'from-file\n');
    await writeFile(join(folder, 'ca.pem'), 'CA');
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const around = (env: Record<string, string> = {}): Surroundings => ({
    env,
    home: join(folder, 'home'),
    serviceAccount: join(folder, 'account'),
  });
  const written = async (text: string): Promise<string> => {
    const path = join(folder, 'config');
    await writeFile(path, text);
    return path;
  };

  type Row = { readonly name: string; readonly cluster?: object; readonly user: object; readonly want: object };
  // prettier-ignore
  const rows: readonly Row[] = [
    { name: 'sends a token', user: { token: 'a' }, want: { headers: { authorization: 'Bearer a' }, tls: {} } },
    { name: 'prefers a token file, found beside the kubeconfig', user: { token: 'a', tokenFile: 'token' },
      want: { headers: { authorization: 'Bearer from-file' }, tls: {} } },
    { name: 'sends a user name and a password', user: { username: 'me', password: 'pw' },
      want: { headers: { authorization: `Basic ${base64('me:pw')}` }, tls: {} } },
    { name: 'acts as another user', user: { token: 'a', as: 'her' },
      want: { headers: { authorization: 'Bearer a', 'impersonate-user': 'her' }, tls: {} } },
    { name: 'presents a client certificate',
      user: { 'client-certificate-data': base64('C'), 'client-key-data': base64('K') },
      want: { headers: {}, tls: { cert: Buffer.from('C'), key: Buffer.from('K') } } },
    { name: 'trusts a certificate in a file under another name', user: {},
      cluster: { 'certificate-authority': 'ca.pem', 'tls-server-name': 'inner' },
      want: { headers: {}, tls: { ca: Buffer.from('CA'), servername: 'inner' } } },
    { name: 'trusts any certificate if the kubeconfig says so', user: {}, cluster: { 'insecure-skip-tls-verify': true },
      want: { headers: {}, tls: { rejectUnauthorized: false } } },
  ];
  for (const { name, cluster = {}, user, want } of rows) {
    it(name, async () => {
      const access = await plainAccess({ kubeconfig: await written(kubeconfig(cluster, user)) });
      assert.deepEqual(await access?.read(), want);
    });
  }

  it('reads YAML, the namespace, the proxy and another context', async () => {
    const text = `contexts: [{name: c, context: {cluster: k, user: u, namespace: ml}}]
clusters: [{name: k, cluster: {server: "https://api", proxy-url: "http://proxy:1"}}]
users: [{name: u, user: {token: a}}]`;
    const access = await plainAccess({ kubeconfig: await written(text), context: 'c' });
    assert.deepEqual([access?.server, access?.namespace, access?.proxyUrl], ['https://api', 'ml', 'http://proxy:1']);
  });

  it('reads the file again for a token that was rotated', async () => {
    const access = await plainAccess({ kubeconfig: await written(kubeconfig({}, { tokenFile: 'token' })) });
    await writeFile(join(folder, 'token'), 'rotated');
    assert.equal((await access?.read())?.headers['authorization'], 'Bearer rotated');
  });

  it('refuses a token file that is empty, rather than send no token', async () => {
    await writeFile(join(folder, 'blank'), '\n');
    const access = await plainAccess({ kubeconfig: await written(kubeconfig({}, { tokenFile: 'blank', token: 'a' })) });
    await assert.rejects(async () => access?.read(), /the token file .*blank is empty/);
  });

  it('leaves a pipe to client-node without reading it', async () => {
    const path = join(folder, 'pipe');
    await promisify(execFile)('mkfifo', [path]);
    const waits = new Promise<'waits'>((resolve) => setTimeout(resolve, 1000, 'waits').unref());
    const got = await Promise.race([plainAccess({ kubeconfig: path }), waits]);
    // `waits`: plainAccess reads the pipe, and the assertion below fails. Write to the pipe first, so that the pending
    // read ends; otherwise the process could not end.
    if (got === 'waits') await writeFile(path, '');
    assert.equal(got, undefined);
  });

  it('is the service account of a pod where there is no kubeconfig', async () => {
    await mkdir(join(folder, 'account'), { recursive: true });
    for (const [name, text] of [
      ['token', 't\n'],
      ['ca.crt', 'CA'],
      ['namespace', 'ml\n'],
    ] as const)
      await writeFile(join(folder, 'account', name), text);
    const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' };
    const access = await plainAccess({}, around(env));
    assert.deepEqual([access?.server, access?.namespace], ['https://10.0.0.1:443', 'ml']);
    assert.deepEqual(await access?.read(), { headers: { authorization: 'Bearer t' }, tls: { ca: Buffer.from('CA') } });
    const six = await plainAccess({}, around({ ...env, KUBERNETES_SERVICE_HOST: 'fd00::1' }));
    assert.equal(six?.server, 'https://[fd00::1]:443');
  });

  // prettier-ignore
  const leftToClientNode: readonly { readonly name: string; readonly text: string }[] = [
    { name: 'an exec plugin', text: kubeconfig({}, { exec: { command: 'x' } }) },
    { name: 'an auth provider', text: kubeconfig({}, { 'auth-provider': { name: 'oidc' } }) },
    { name: 'a field of a cluster that is not known', text: kubeconfig({ 'new-field': 1 }, { token: 'a' }) },
    { name: 'a context that names no cluster', text: kubeconfig({}, {}, { cluster: 'other' }) },
    { name: 'a file that is not valid', text: '{' },
    { name: 'a file over 1 MiB', text: `${kubeconfig({}, { token: 'a' })}${' '.repeat(2 ** 20)}` },
  ];
  for (const { name, text } of leftToClientNode) {
    it(`leaves to client-node ${name}`, async () => {
      assert.equal(await plainAccess({ kubeconfig: await written(text) }), undefined);
    });
  }

  it('refuses groups to act as, which client-node would drop without a message', async () => {
    const kubeconfigPath = await written(kubeconfig({}, { token: 'a', as: 'her', 'as-groups': ['g'] }));
    await assert.rejects(plainAccess({ kubeconfig: kubeconfigPath }), { code: 'BAD_CONFIG', message: /as-groups/ });
  });

  it('leaves to client-node several files, and a missing kubeconfig', async () => {
    const path = await written(kubeconfig({}, { token: 'a' }));
    assert.equal(await plainAccess({}, around({ KUBECONFIG: `${path}:${path}` })), undefined);
    assert.equal(await plainAccess({}, around()), undefined);
  });
});
