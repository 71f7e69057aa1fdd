/**
 * The runtime as a process: `serve` with a file, `prepare` and `run` as in a pod, and their messages when they fail.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, request as send } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseLastWords } from '../../api/last-words.ts';
import { ask, inputOf, jsonOf } from '../support/infer-client.ts';
import { givenConfig } from '../support/model-server.ts';
import { matmul, writeModel } from '../support/onnx-models.ts';
import { nativeEnvironment } from '../../api/names.ts';
import { givenPod, killPrograms, podIp, start, until } from '../support/runtime-process.ts';

const body = JSON.stringify({ inputs: [inputOf([1, 2, 3, 4])] });

let folder = '';

const isReady = (url: string): Promise<boolean> =>
  ask(url, '/v2/health/ready').then(
    ({ status }) => status === 200,
    () => false,
  );

/**
 * Clients that send requests in a loop until `stop`. Records every status other than 200, and 0 for a missing answer.
 */
function clients(url: string, count: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: count });
  const bad: number[] = [];
  let done = 0;
  let stopping = false;
  const once = (): Promise<void> =>
    new Promise((resolve) => {
      const request = send(
        new URL('/v2/models/m/infer', url),
        { method: 'POST', agent, headers: { 'content-length': body.length } },
        (response) => {
          response.resume().on('end', () => {
            done += 1;
            if (response.statusCode !== 200) bad.push(response.statusCode ?? 0);
            resolve();
          });
        },
      );
      request.on('error', () => {
        bad.push(0);
        resolve();
      });
      request.end(body);
    });
  const loops = Array.from({ length: count }, async () => {
    while (!stopping) await once();
  });
  const stop = async (): Promise<readonly number[]> => {
    stopping = true;
    await Promise.all(loops);
    agent.destroy();
    return bad;
  };
  return { stop, done: () => done };
}

describe('runtime/main.ts', function () {
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'serve-'));
    await writeModel(join(folder, 'matmul'), matmul());
  });
  after(async () => {
    killPrograms();
    await rm(folder, { recursive: true, force: true });
  });

  it('serves a folder, shows an example request, and drains without losing a request', async () => {
    const program = start(
      ['serve', join(folder, 'matmul'), '--name', 'm', '--port', '0', '--cache', join(folder, 'cache')],
      { ONNX_DRAIN_DELAY: '500ms' },
    );
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

  it('ends at once on Ctrl-C, which npm sends twice, without clients', async () => {
    const program = start(
      ['serve', join(folder, 'matmul'), '--name', 'm', '--port', '0', '--cache', join(folder, 'cache')],
      { ONNX_DRAIN_DELAY: '10m' },
    );
    await until(() => program.out().includes('\n') || program.child.exitCode !== null);
    program.child.kill('SIGINT');
    program.child.kill('SIGINT');
    assert.equal(await program.ended, 0, program.err());
  });

  // prettier-ignore
  const mistakes: readonly { readonly name: string; readonly args: () => string[]; readonly says: RegExp }[] = [
    { name: 'a config with a misspelt field',
      args: () => ['serve', join(folder, 'matmul'), '--config', join(folder, 'bad.yaml')],
      says: /^error: .*bad\.yaml: batching\.maxBatchSizes: unknown field; did you mean maxBatchSize\?/ },
    { name: 'a cache folder that cannot be made',
      args: () => ['serve', join(folder, 'matmul'), '--cache', join(folder, 'bad.yaml', 'cache')],
      says: /^error: --cache: cannot write to .*bad\.yaml\/cache \(.*\): choose another folder/ },
    { name: 'a file that is not a model', args: () =>
        ['serve', join(folder, 'matmul', 'notes.txt'), '--cache', join(folder, 'cache')],
      says: /^error: notes\.txt is not a model that this runtime can serve: / },
  ];
  for (const { name, args, says } of mistakes) {
    it(`reports ${name} in one sentence`, async () => {
      await writeFile(join(folder, 'matmul', 'notes.txt'), 'not a model');
      await writeFile(join(folder, 'bad.yaml'), 'batching: {maxBatchSizes: 4}\n');
      const program = start(args());
      assert.equal(await program.ended, 2);
      assert.match(program.err(), says);
      assert.equal(program.err().trim().split('\n').length, 1);
      assert.equal(program.out(), '');
    });
  }

  it('prepares and runs a pod, with an empty termination message at the end', async () => {
    const pod = await givenPod(folder, 'good', {});
    assert.equal(await start(['prepare'], pod.environment).ended, 0);
    assert.equal(parseLastWords(await readFile(pod.log, 'utf8'))?.kind, 'resolved');
    const program = start(['run'], pod.environment);
    const url = `http://${podIp}:8080`;
    await until(async () => program.child.exitCode !== null || (await isReady(url)));
    assert.equal((await ask(url, '/v2/models/m/versions/6c9f01ab2d/infer', { body })).status, 200, program.err());
    assert.equal(
      (jsonOf(await ask(`http://${podIp}:8082`, '/counters')) as { revision: string }).revision,
      '6c9f01ab2d',
    );
    assert.equal(await readFile(pod.log, 'utf8'), '');
    program.child.kill('SIGTERM');
    assert.equal(await program.ended, 0, program.err());
  });

  // prettier-ignore
  const kept: readonly { readonly name: string; readonly allocation?: object; readonly want: string;
    readonly arena: boolean }[] = [
    { name: 're-executes itself with the thresholds that prepare chose',
      allocation: { arena: false, thresholdBytes: 33_554_432, because: 'measured', measured: [] },
      want: '33554432', arena: false },
    { name: 'runs what an older version prepared, with the usual settings', want: '4194304', arena: true },
  ];
  for (const { name, allocation, want, arena } of kept)
    it(name, async () => {
      const pod = await givenPod(folder, `kept-${want}`, {});
      assert.equal(await start(['prepare'], pod.environment).ended, 0);
      const path = join(pod.environment['ONNX_CACHE_DIR'] ?? '', 'prepared.json');
      const { allocation: _allocation, ...older } = JSON.parse(await readFile(path, 'utf8')) as object & {
        readonly allocation: unknown;
      };
      await writeFile(path, JSON.stringify({ ...older, allocation }));
      const program = start(['run'], { ...pod.environment, ...nativeEnvironment });
      await until(async () => program.child.exitCode !== null || (await isReady(`http://${podIp}:8080`)));
      const environment = await readFile(`/proc/${program.child.pid ?? 0}/environ`, 'utf8');
      assert.match(environment, new RegExp(`MALLOC_TRIM_THRESHOLD_=${want}\\0`));
      assert.match(environment, new RegExp(`MALLOC_MMAP_THRESHOLD_=${want}\\0`));
      const { execution, memory } = jsonOf(await ask(`http://${podIp}:8082`, '/config')) as {
        readonly execution: { readonly arena: boolean };
        readonly memory: { readonly mallocThresholdBytes: number; readonly allocation?: { readonly because: string } };
      };
      assert.deepEqual(
        [execution.arena, memory.mallocThresholdBytes, memory.allocation?.because],
        [arena, Number(want), allocation === undefined ? undefined : 'measured'],
      );
      program.child.kill('SIGTERM');
      assert.equal(await program.ended, 0, program.err());
    });

  it('writes to the termination message why a prepared model cannot be loaded', async () => {
    const pod = await givenPod(folder, 'good', {
      execution: { ...givenConfig().execution, sessionConfig: { 'session.load_model_format': 'ORT' } },
    });
    const program = start(['run'], pod.environment);
    assert.equal(await program.ended, 2, program.err());
    const words = parseLastWords(await readFile(pod.log, 'utf8'));
    assert.ok(words?.kind === 'failed' && words.code === 'ENGINE_LOAD_FAILED', JSON.stringify(words));
    assert.doesNotMatch(program.err(), /^\s+at /m);
  });

  it('writes to the termination message that prepare did not run', async () => {
    const pod = await givenPod(folder, 'unprepared', {});
    assert.equal(await start(['run'], pod.environment).ended, 2);
    const words = parseLastWords(await readFile(pod.log, 'utf8'));
    assert.ok(
      words?.kind === 'failed' && words.code === 'FILE_UNREADABLE' && /did prepare run/.test(words.message),
      JSON.stringify(words),
    );
  });
});
