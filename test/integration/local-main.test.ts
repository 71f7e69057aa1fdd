/**
 * `npm run local` as a process: its flags, the line that it prints, signals, exit codes, and the files that it leaves.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent, fetch } from 'undici';
import { parse } from 'yaml';
import packageJson from '../../package.json' with { type: 'json' };
import { systemClock } from '../../lib/clock.ts';
import type { StoredPod } from '../../local/kubelet/pod.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
/** The uid of Debian's unprivileged user. */
const unprivileged = 65534;

type Options = { readonly uid?: number; readonly operator?: boolean };

/** A process of local mode, and its output. */
class Local {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #ended: Promise<unknown[]>;

  constructor(flags: readonly string[], { uid, operator = false }: Options) {
    const user = uid === undefined ? {} : { uid, gid: uid, env: { ...process.env, HOME: '/nonexistent' } };
    this.child = spawn(process.execPath, ['local/main.ts', ...(operator ? [] : ['--no-operator']), ...flags], {
      cwd: repository,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...user,
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.#ended = once(this.child, 'exit');
  }

  async ready(): Promise<Client> {
    await until(
      () => this.stdout.includes('\n') || this.child.exitCode !== null,
      () => `the line; stderr: ${this.stderr}`,
    );
    const [, file = ''] = /^local mode is ready: export KUBECONFIG=(\S+)\n$/.exec(this.stdout) ?? [];
    assert.notEqual(file, '', `said ${this.stdout} ${this.stderr}`);
    return new Client(file);
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return this.code();
  }

  async code(): Promise<number | null> {
    await this.#ended;
    return this.child.exitCode;
  }
}

class Client {
  readonly #server: string;
  readonly #token: string;
  readonly #dispatcher: Agent;
  readonly file: string;

  constructor(file: string) {
    this.file = file;
    const { clusters, users } = parse(readFileSync(file, 'utf8')) as {
      clusters: [{ cluster: { server: string; 'certificate-authority-data': string } }];
      users: [{ user: { token: string } }];
    };
    this.#server = clusters[0].cluster.server;
    this.#token = users[0].user.token;
    // Do not keep connections, so that no connection outlives the server.
    this.#dispatcher = new Agent({
      pipelining: 0,
      connect: { ca: Buffer.from(clusters[0].cluster['certificate-authority-data'], 'base64').toString() },
    });
  }

  async call(path: string, body?: object): Promise<Record<string, unknown>> {
    return JSON.parse(await this.text(path, body)) as Record<string, unknown>;
  }

  async text(path: string, body?: object): Promise<string> {
    const post = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
    const headers = { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' };
    return (await fetch(`${this.#server}${path}`, { headers, dispatcher: this.#dispatcher, ...post })).text();
  }

  /** A pod with one container that writes its own process id and keeps running. */
  async createPod(name: string): Promise<void> {
    // Write `$$$$` for the shell's `$$`, because Kubernetes replaces $(NAME) and $$ in commands.
    const container = {
      name: 'main',
      image: `onnx-operator/runtime:${packageJson.version}`,
      command: ['/bin/sh', '-c', 'echo pid $$$$; exec sleep 1000'],
    };
    const made = await this.call('/api/v1/namespaces/default/pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: { containers: [container] },
    });
    assert.equal(made['kind'], 'Pod', JSON.stringify(made));
  }

  pod = async (name: string): Promise<StoredPod> =>
    (await this.call(`/api/v1/namespaces/default/pods/${name}`)) as unknown as StoredPod;

  async running(name: string, restarts = 0): Promise<StoredPod> {
    let pod = await this.pod(name);
    await until(
      async () => {
        pod = await this.pod(name);
        const [status] = pod.status?.containerStatuses ?? [];
        return status !== undefined && 'running' in status.state && status.restartCount === restarts;
      },
      () => `${name} to run: ${JSON.stringify(pod.status)}`,
    );
    return pod;
  }

  async pidOf(name: string): Promise<number> {
    let log = '';
    await until(
      async () => {
        log = await this.text(`/api/v1/namespaces/default/pods/${name}/log`);
        return log.startsWith('pid ');
      },
      () => `the log of ${name}: ${log}`,
    );
    const pid = Number(log.slice(4));
    assert.ok(pid > 1, `said ${log}`);
    return pid;
  }
}

async function until(check: () => boolean | Promise<boolean>, what: () => string): Promise<void> {
  for (let tries = 0; tries < 1600; tries += 1) {
    if (await check()) return;
    await systemClock.sleep(25);
  }
  assert.fail(`waited forty seconds for ${what()}`);
}

const isAlive = (pid: number): boolean =>
  existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));

describe('npm run local', function () {
  let dir: string;
  const started: Local[] = [];
  const local = (flags: readonly string[], options: Options = {}): Local => {
    const one = new Local(flags, options);
    started.push(one);
    return one;
  };
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'onnx-local-main-'));
  });
  afterEach(async () => {
    for (const one of started.splice(0))
      if (one.child.exitCode === null && one.child.signalCode === null) await one.end('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  });

  it('prints one line when it is ready; a Ctrl-C that npm doubles ends it with 0, without leftovers', async () => {
    const one = local(['--kubeconfig', join(dir, 'config')]);
    const client = await one.ready();
    assert.equal(client.file, join(dir, 'config'));
    await client.createPod('web');
    await client.running('web');
    const pid = await client.pidOf('web');
    const [, group = ''] = /^NSpgid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    const folders = readdirSync(tmpdir()).filter((name) => readsProcesses(join(tmpdir(), name), group));
    assert.equal(folders.length, 1);
    // Under npm one Ctrl-C arrives twice: from the terminal, and from npm, which forwards its own signal.
    one.child.kill('SIGINT');
    assert.equal(await one.end('SIGINT'), 0);
    assert.equal(one.stdout.split('\n').length, 2);
    assert.equal(isAlive(pid), false);
    assert.equal(existsSync(join(tmpdir(), folders[0] ?? '')), false);
  });

  const readsProcesses = (folder: string, group: string): boolean => existsSync(join(folder, 'processes', group));

  it('leaves no container when it is killed', async () => {
    const one = local(['--data', join(dir, 'data')]);
    const client = await one.ready();
    await client.createPod('web');
    await client.running('web');
    const pid = await client.pidOf('web');
    await one.end('SIGKILL');
    await until(
      () => !isAlive(pid),
      () => `process ${pid} to end`,
    );
  });

  it('keeps its objects and restarts its pods when it is started again with the same folder', async () => {
    const first = local(['--data', join(dir, 'data')]);
    const before = await first.ready();
    await before.createPod('web');
    const uid = (await before.running('web')).metadata.uid;
    await first.end('SIGKILL');
    const second = local(['--data', join(dir, 'data')]);
    const after = await second.ready();
    const pod = await after.running('web', 1);
    assert.equal(pod.metadata.uid, uid);
    assert.equal(await second.end('SIGINT'), 0);
  });

  it('works for an unprivileged user', async function () {
    // Only root may change its user; CI runs as root.
    if (process.getuid?.() !== 0) return this.skip();
    chownSync(dir, unprivileged, unprivileged);
    const one = local(['--data', join(dir, 'data')], { uid: unprivileged });
    const client = await one.ready();
    const node = (await client.call('/api/v1/nodes/local')) as {
      status?: { conditions?: { type: string; reason: string }[] };
    };
    assert.equal(node.status?.conditions?.find((condition) => condition.type === 'LimitsEnforced')?.reason, 'Polling');
    await client.createPod('web');
    await client.running('web');
    assert.equal(await one.end(), 0);
  });

  it('runs the operator together with the cluster, and ends it before the cluster', async () => {
    const one = local(['--data', join(dir, 'data')], { operator: true });
    const client = await one.ready();
    let leases: Record<string, unknown> = {};
    await until(
      async () => {
        leases = await client.call('/apis/coordination.k8s.io/v1/leases');
        return (leases['items'] as { spec: { holderIdentity: string } }[]).some(
          (lease) => lease.spec.holderIdentity !== '',
        );
      },
      () => `the operator to lead: ${JSON.stringify(leases)} ${one.stderr}`,
    );
    assert.equal(await one.end(), 0);
    assert.deepEqual(readdirSync(join(dir, 'data', 'processes')), []);
  });

  const mistakes: readonly (readonly [string, () => readonly string[], number, RegExp])[] = [
    ['a wrong flag', () => ['--what'], 2, /^error: command line: .*--what/],
    [
      'a folder that cannot be made',
      () => ['--data', join(repository, 'package.json', 'data')],
      2,
      /^error: the folder .*data cannot be used: .*ENOTDIR/,
    ],
  ];
  for (const [name, flags, code, sentence] of mistakes) {
    it(`reports ${name} in one sentence`, async () => {
      const one = local(flags());
      assert.equal(await one.code(), code);
      assert.match(one.stderr, sentence);
      assert.equal(one.stderr.trim().split('\n').length, 1);
      assert.equal(one.stdout, '');
    });
  }

  it('reports that its port is in use', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    await once(squatter, 'listening');
    const { port } = squatter.address() as { port: number };
    const one = local(['--port', String(port)]);
    assert.equal(await one.code(), 4);
    assert.match(one.stderr, new RegExp(`^error: port ${port} of 127.0.0.1 is in use by another process`));
    squatter.close();
  });

  it('reports that its folder is in use', async () => {
    const first = local(['--data', join(dir, 'data')]);
    await first.ready();
    const second = local(['--data', join(dir, 'data')]);
    assert.equal(await second.code(), 4);
    assert.match(second.stderr, new RegExp(`is in use by another run of local mode \\(process ${first.child.pid}\\)`));
    assert.equal(await first.end(), 0);
  });

  it('prints its help', async () => {
    const one = local(['--help']);
    assert.equal(await one.code(), 0);
    assert.match(one.stdout, /^Usage: npm run local/);
  });
});
