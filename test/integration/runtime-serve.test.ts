/**
 * The runtime as a process: `serve` from a file on, a pod's `prepare` and `run`, and what each says when it cannot.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, request as send } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseLastWords } from '../../api/last-words.ts';
import { nativeEnvironment } from '../../api/names.ts';
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import { ask, inputOf, jsonOf } from '../support/infer-client.ts';
import { givenConfig } from '../support/model-server.ts';
import { matmul, writeModel } from '../support/onnx-models.ts';

const main = fileURLToPath(new URL('../../runtime/main.ts', import.meta.url));
const body = JSON.stringify({ inputs: [inputOf([1, 2, 3, 4])] });
/** Of this run's own: pods of other tests have other addresses, and all use the same ports. */
const podIp = `127.${10 + Math.floor(process.pid / 60_000)}.${Math.floor(process.pid / 250) % 250}.${1 + (process.pid % 250)}`;

type Program = { readonly child: ChildProcess; readonly out: () => string; readonly err: () => string; readonly ended: Promise<number | null> };

let folder = '';
const children = new Set<ChildProcess>();

function start(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Program {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !(name in nativeEnvironment)));
  const child = spawn(process.execPath, [main, ...args], { env: { ...inherited, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => { out += chunk.toString(); });
  child.stderr.on('data', (chunk: Buffer) => { err += chunk.toString(); });
  const ended = new Promise<number | null>((resolve) => child.on('close', (code) => {
    children.delete(child);
    resolve(code);
  }));
  return { child, out: () => out, err: () => err, ended };
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 15_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error('it never came true');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const isReady = (url: string): Promise<boolean> => ask(url, '/v2/health/ready').then(({ status }) => status === 200, () => false);

/** Closed loops of requests until `stop`; every status that is not 200 is kept, 0 for no answer. */
function clients(url: string, count: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: count });
  const bad: number[] = [];
  let done = 0;
  let stopping = false;
  const once = (): Promise<void> => new Promise((resolve) => {
    const request = send(new URL('/v2/models/m/infer', url), { method: 'POST', agent, headers: { 'content-length': body.length } }, (response) => {
      response.resume().on('end', () => {
        done += 1;
        if (response.statusCode !== 200) bad.push(response.statusCode ?? 0);
        resolve();
      });
    });
    request.on('error', () => {
      bad.push(0);
      resolve();
    });
    request.end(body);
  });
  const loops = Array.from({ length: count }, async () => { while (!stopping) await once(); });
  const stop = async (): Promise<readonly number[]> => {
    stopping = true;
    await Promise.all(loops);
    agent.destroy();
    return bad;
  };
  return { stop, done: () => done };
}

describe('runtime/main.ts', function () {
  this.timeout(30_000);
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'serve-'));
    await writeModel(join(folder, 'matmul'), matmul());
  });
  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  it('serves a folder, says how to ask, and drains without losing a request', async () => {
    const program = start(['serve', join(folder, 'matmul'), '--name', 'm', '--port', '0', '--cache', join(folder, 'cache')], { ONNX_DRAIN_DELAY: '500ms' });
    await until(() => program.out().includes('\n') || program.child.exitCode !== null);
    const [, url = '', example = ''] = /serving m at (http:\S+) .*-d '(.*)'\n$/.exec(program.out()) ?? [];
    assert.equal((await ask(url, '/v2/models/m/infer', { body: example })).status, 200, program.out() + program.err());
    const environment = await readFile(`/proc/${program.child.pid ?? 0}/environ`, 'utf8');
    assert.match(environment, /MALLOC_TRIM_THRESHOLD_=4194304\0/);
    assert.match(environment, /ORT_DISABLE_TELEMETRY=1\0/);

    const load = clients(url, 4);
    await until(() => load.done() > 50);
    program.child.kill('SIGTERM');
    await until(async () => !(await isReady(url)));
    assert.deepEqual(await load.stop(), []);
    assert.equal(await program.ended, 0, program.err());
  });

  it('ends at once on Ctrl-C, with nobody asking', async () => {
    const program = start(['serve', join(folder, 'matmul'), '--name', 'm', '--port', '0', '--cache', join(folder, 'cache')], { ONNX_DRAIN_DELAY: '10m' });
    await until(() => program.out().includes('\n') || program.child.exitCode !== null);
    program.child.kill('SIGINT');
    assert.equal(await program.ended, 0, program.err());
  });

  const mistakes: readonly { readonly name: string; readonly args: () => string[]; readonly says: RegExp }[] = [
    { name: 'a config with a misspelt field', args: () => ['serve', join(folder, 'matmul'), '--config', join(folder, 'bad.yaml')], says: /^error: .*bad\.yaml: batching\.maxBatchSizes: no such field/ },
    { name: 'a cache folder that cannot be made', args: () => ['serve', join(folder, 'matmul'), '--cache', join(folder, 'bad.yaml', 'cache')], says: /^error: --cache: models cannot be kept in .*bad\.yaml\/cache \(.*\): give another folder/ },
    { name: 'a file that is no model', args: () => ['serve', join(folder, 'matmul', 'notes.txt'), '--cache', join(folder, 'cache')], says: /^error: notes\.txt is not a model this runtime can serve: / },
  ];
  for (const { name, args, says } of mistakes) {
    it(`tells of ${name} in one sentence`, async () => {
      await writeFile(join(folder, 'matmul', 'notes.txt'), 'not a model');
      await writeFile(join(folder, 'bad.yaml'), 'batching: {maxBatchSizes: 4}\n');
      const program = start(args());
      assert.equal(await program.ended, 2);
      assert.match(program.err(), says);
      assert.equal(program.err().trim().split('\n').length, 1);
      assert.equal(program.out(), '');
    });
  }

  it('prepares and runs a pod, and leaves no last words behind', async () => {
    const pod = await givenPod('good', {});
    assert.equal(await start(['prepare'], pod.environment).ended, 0);
    assert.equal(parseLastWords(await readFile(pod.log, 'utf8'))?.kind, 'resolved');
    const program = start(['run'], pod.environment);
    const url = `http://${podIp}:8080`;
    await until(async () => program.child.exitCode !== null || (await isReady(url)));
    assert.equal((await ask(url, '/v2/models/m/versions/6c9f01ab2d/infer', { body })).status, 200, program.err());
    assert.equal((jsonOf(await ask(`http://${podIp}:8082`, '/counters')) as { revision: string }).revision, '6c9f01ab2d');
    assert.equal(await readFile(pod.log, 'utf8'), '');
    program.child.kill('SIGTERM');
    assert.equal(await program.ended, 0, program.err());
  });

  it('says last why a prepared model cannot be loaded', async () => {
    const pod = await givenPod('good', { execution: { ...givenConfig().execution, sessionConfig: { 'session.load_model_format': 'ORT' } } });
    const program = start(['run'], pod.environment);
    assert.equal(await program.ended, 2, program.err());
    const words = parseLastWords(await readFile(pod.log, 'utf8'));
    assert.ok(words?.kind === 'failed' && words.code === 'ENGINE_LOAD_FAILED', JSON.stringify(words));
    assert.doesNotMatch(program.err(), /^\s+at /m);
  });

  it('says last that prepare has not run', async () => {
    const pod = await givenPod('unprepared', {});
    assert.equal(await start(['run'], pod.environment).ended, 2);
    const words = parseLastWords(await readFile(pod.log, 'utf8'));
    assert.ok(words?.kind === 'failed' && words.code === 'FILE_UNREADABLE' && /has prepare run/.test(words.message), JSON.stringify(words));
  });
});

/** A pod's folders and environment. */
async function givenPod(name: string, overrides: Partial<RuntimeConfig>): Promise<{ readonly environment: Record<string, string>; readonly log: string }> {
  const home = join(folder, name);
  const config = givenConfig({ source: { uri: `file://${join(folder, 'matmul')}/`, variants: [] }, ...overrides });
  const paths = { config: join(home, 'config'), cache: join(home, 'cache'), log: join(home, 'log') };
  await mkdir(paths.config, { recursive: true });
  await writeFile(join(paths.config, 'runtime.json'), JSON.stringify(config));
  await writeFile(paths.log, '');
  const environment = { POD_IP: podIp, ONNX_CONFIG_DIR: paths.config, ONNX_CACHE_DIR: paths.cache, ONNX_TERMINATION_LOG: paths.log, ONNX_ALLOW_FILE: 'true', ONNX_DRAIN_DELAY: '50ms' };
  return { environment, log: paths.log };
}
