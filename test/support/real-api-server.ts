/**
 * A real etcd and kube-apiserver for one test, from the binaries in a folder (as in KUBEBUILDER_ASSETS).
 * Owns: both processes, which it can kill and restart; their ports; and their keys and data in a temporary folder.
 * Ends: `stop` ends both and removes the folder.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request, type Dispatcher } from 'undici';
import { eventually } from './eventually.ts';

export type Component = 'etcd' | 'kube-apiserver';

const token = 'test-administrator';

export class RealApiServer {
  readonly #assets: string;
  readonly #folder: string;
  readonly #ports: { readonly api: number; readonly etcd: number; readonly peer: number };
  readonly #processes = new Map<Component, ChildProcess>();
  readonly #agent: Dispatcher = new Agent({ allowH2: false, connect: { rejectUnauthorized: false } });

  private constructor(assets: string, folder: string, ports: { api: number; etcd: number; peer: number }) {
    this.#assets = assets;
    this.#folder = folder;
    this.#ports = ports;
  }

  /** @param assets a folder with `etcd` and `kube-apiserver` */
  static async start(assets: string): Promise<RealApiServer> {
    const folder = await mkdtemp(join(tmpdir(), 'real-api-'));
    const [api, etcd, peer] = await freePorts(3);
    const server = new RealApiServer(assets, folder, { api: api ?? 0, etcd: etcd ?? 0, peer: peer ?? 0 });
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await writeFile(join(folder, 'sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }));
    await writeFile(join(folder, 'tokens.csv'), `${token},admin,admin,"system:masters"\n`);
    await writeFile(
      join(folder, 'audit-policy.json'),
      JSON.stringify({
        apiVersion: 'audit.k8s.io/v1',
        kind: 'Policy',
        omitStages: ['RequestReceived', 'ResponseStarted'],
        rules: [{ level: 'Metadata' }],
      }),
    );
    await writeFile(server.kubeconfig, server.kubeconfigFor(`https://127.0.0.1:${server.port}`));
    await server.revive('etcd');
    await server.revive('kube-apiserver');
    return server;
  }

  get port(): number {
    return this.#ports.api;
  }

  /** The process ids of etcd and kube-apiserver; a process that does not run is left out. */
  get pids(): readonly number[] {
    return [...this.#processes.values()].flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  }

  get kubeconfig(): string {
    return join(this.#folder, 'kubeconfig');
  }

  /**
   * The path of the audit log. The log has a line of JSON per request (audit.k8s.io/v1, Metadata level), in the order
   * of the answers.
   */
  get auditLog(): string {
    return join(this.#folder, 'audit.log');
  }

  /** @param bearer another token than the administrator's, such as a service account's */
  kubeconfigFor(server: string, bearer = token): string {
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
      clusters: [{ name: 'k', cluster: { server, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'u', user: { token: bearer } }],
    });
  }

  /** Sends SIGKILL and waits until the process has ended. */
  async kill(component: Component): Promise<void> {
    const child = this.#processes.get(component);
    this.#processes.delete(component);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  /** Starts the component, also after a kill, and waits until it serves. */
  async revive(component: Component): Promise<void> {
    const { api, etcd, peer } = this.#ports;
    const files = (name: string): string => join(this.#folder, name);
    const args = {
      etcd: [
        '--data-dir',
        files('etcd'),
        '--listen-client-urls',
        `http://127.0.0.1:${etcd}`,
        '--advertise-client-urls',
        `http://127.0.0.1:${etcd}`,
        '--listen-peer-urls',
        `http://127.0.0.1:${peer}`,
        '--initial-advertise-peer-urls',
        `http://127.0.0.1:${peer}`,
        '--initial-cluster',
        `default=http://127.0.0.1:${peer}`,
        '--unsafe-no-fsync',
      ],
      'kube-apiserver': [
        '--etcd-servers',
        `http://127.0.0.1:${etcd}`,
        '--bind-address',
        '127.0.0.1',
        '--secure-port',
        String(api),
        '--cert-dir',
        files('certs'),
        '--token-auth-file',
        files('tokens.csv'),
        '--service-account-issuer',
        'https://kubernetes.default.svc',
        '--service-account-key-file',
        files('sa.key'),
        '--service-account-signing-key-file',
        files('sa.key'),
        '--service-cluster-ip-range',
        '10.96.0.0/12',
        '--authorization-mode',
        'RBAC',
        '--audit-policy-file',
        files('audit-policy.json'),
        '--audit-log-path',
        files('audit.log'),
      ],
    }[component];
    const log = openSync(files(`${component}.log`), 'a');
    this.#processes.set(component, spawn(join(this.#assets, component), args, { stdio: ['ignore', log, log] }));
    const serves =
      component === 'etcd'
        ? async () => (await request(`http://127.0.0.1:${etcd}/health`)).statusCode === 200
        : async () => (await this.#call('/readyz')).statusCode === 200;
    await eventually(`${component} to serve`, serves);
  }

  /** Compacts etcd's history up to its current revision, as the API server does every five minutes. */
  async compact(): Promise<void> {
    const post = (path: string, body: unknown): Promise<Dispatcher.ResponseData> =>
      request(`http://127.0.0.1:${this.#ports.etcd}${path}`, { method: 'POST', body: JSON.stringify(body) });
    const answer = (await (await post('/v3/kv/range', { key: Buffer.from('/').toString('base64') })).body.json()) as {
      header: { revision: string };
    };
    const { statusCode, body } = await post('/v3/kv/compaction', { revision: answer.header.revision, physical: true });
    await body.dump();
    if (statusCode !== 200) throw new Error(`etcd answered ${statusCode} to the compaction`);
  }

  async stop(): Promise<void> {
    await this.kill('kube-apiserver');
    await this.kill('etcd');
    await this.#agent.destroy();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #call(path: string): Promise<Dispatcher.ResponseData> {
    const answer = await request(`https://127.0.0.1:${this.port}${path}`, {
      dispatcher: this.#agent,
      headers: { authorization: `Bearer ${token}` },
    });
    await answer.body.dump();
    return answer;
  }
}

/** Listens on all ports before it closes any, so that the ports differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
