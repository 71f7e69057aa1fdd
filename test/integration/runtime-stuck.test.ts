/**
 * A model whose Loop does not end, in a separate process: readiness fails, then liveness fails, every request gets an
 * answer, and SIGTERM ends the process.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseLastWords } from '../../api/last-words.ts';
import { ask, inputOf, jsonOf, type Seen } from '../support/infer-client.ts';
import { loop, writeModel } from '../support/onnx-models.ts';
import { givenPod, killPrograms, podIp, start, until } from '../support/runtime-process.ts';

const forEver = '9223372036854775807';
const runtime = `http://${podIp}:8080`;
const metrics = `http://${podIp}:8082`;
const bodyOf = (trips: string): string =>
  JSON.stringify({ inputs: [{ name: 'n', datatype: 'INT64', shape: [], data: [trips] }, inputOf([1, 1, 1, 1])] });
const call = (trips: string, headers: Readonly<Record<string, string>> = {}): Promise<Seen> =>
  ask(runtime, '/v2/models/m/infer', { body: bodyOf(trips), headers });
const metricsOf = (line: string): string => /\(metrics at (http:[^;)\s]+)/.exec(line)?.[1] ?? '';
const statusOf = (path: string): Promise<number> =>
  ask(runtime, path).then(
    ({ status }) => status,
    () => 0,
  );

describe('a run that does not end', function () {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'stuck-'));
    await writeModel(join(folder, 'trip'), loop());
    await writeModel(join(folder, 'endless'), loop(2n ** 63n - 1n));
  });
  after(async () => {
    killPrograms();
    await rm(folder, { recursive: true, force: true });
  });

  it('fails readiness, then liveness; requests get 504, and SIGTERM ends the process with a last message', async () => {
    const { environment, log } = await givenPod(folder, 'trip-pod', {}, 'trip');
    assert.equal(await start(['prepare'], environment).ended, 0);
    const program = start(['run'], { ...environment, ONNX_STUCK_AFTER: '1s' });
    await until(async () => (await statusOf('/v2/health/ready')) === 200);
    assert.equal((await call('3')).status, 200);

    const stuck = call(forEver);
    const early = await call(forEver, { 'x-request-timeout-ms': '200' });
    assert.deepEqual([early.status, early.headers['x-error-code']], [504, 'REQUEST_EXPIRED']);
    await until(async () => (await statusOf('/v2/health/ready')) === 503);
    assert.match(
      (jsonOf(await ask(runtime, '/v2/health/ready')) as { reason: string }).reason,
      /every worker has been in one run for/,
    );
    assert.equal((await call('3')).status, 503);
    assert.match((await ask(metrics, '/metrics')).body.toString(), /onnx_runtime_run_oldest_seconds\{[^}]*\} [1-9]/);
    await until(async () => (await statusOf('/v2/health/live')) === 503);
    const given = await stuck;
    assert.deepEqual([given.status, given.headers['x-error-code']], [504, 'RUN_STUCK']);

    const sentAt = performance.now();
    program.child.kill('SIGTERM');
    assert.equal(await program.ended, null);
    assert.deepEqual([program.child.signalCode, performance.now() - sentAt < 4500], ['SIGKILL', true]);
    const words = parseLastWords(await readFile(log, 'utf8'));
    assert.ok(words?.kind === 'failed' && words.code === 'RUN_STUCK', JSON.stringify(words));
  });

  it('delays Ctrl-C by at most ten seconds, and its client gets an answer', async () => {
    const program = start([
      'serve',
      join(folder, 'trip'),
      '--name',
      'm',
      '--port',
      '0',
      '--cache',
      join(folder, 'cache'),
    ]);
    await until(() => program.out().includes('\n') || program.child.exitCode !== null);
    const [, url = ''] = /serving m at (http:\S+) /.exec(program.out()) ?? [];
    const stuck = ask(url, '/v2/models/m/infer', { body: bodyOf(forEver) });
    await until(async () =>
      /onnx_runtime_run_oldest_seconds\{[^}]*\} (?:0\.0*[1-9]|[1-9])/.test(
        (await ask(metricsOf(program.out()), '/metrics')).body.toString(),
      ),
    );
    const sentAt = performance.now();
    program.child.kill('SIGINT');
    assert.equal((await stuck).status, 504);
    await program.ended;
    assert.ok(performance.now() - sentAt < 11_000);
  });

  it('is stopped in a trial and in the warm-up, with a clear message', async () => {
    const { environment, log } = await givenPod(
      folder,
      'endless-pod',
      { warmup: { requests: 1, timeoutMs: 1000 } },
      'endless',
    );
    assert.equal(await start(['prepare'], environment).ended, 0);
    const program = start(['run'], environment);
    await program.ended;
    // The message must also be on stderr, because a process in a terminal does not write a termination message.
    assert.match(
      program.err(),
      /warm-up did not finish within 1000 ms.*the process kills itself because a run of the model does not end/,
    );
    const words = parseLastWords(await readFile(log, 'utf8'));
    assert.ok(
      words?.kind === 'failed' &&
        words.code === 'WARMUP_TIMEOUT' &&
        /check that one run of the model finishes/.test(words.message),
      JSON.stringify(words),
    );
  });

  it('ends with the process on SIGTERM during the warm-up', async () => {
    const { environment } = await givenPod(
      folder,
      'warming-pod',
      { warmup: { requests: 1, timeoutMs: 600_000 } },
      'endless',
    );
    const prepared = await givenPod(folder, 'endless-pod', { warmup: { requests: 1, timeoutMs: 600_000 } }, 'endless');
    const program = start(['run'], {
      ...environment,
      ONNX_CACHE_DIR: prepared.environment['ONNX_CACHE_DIR'] ?? '',
      ONNX_GRACE_PERIOD: '2s',
    });
    await until(async () =>
      /warming up/.test(
        await ask(runtime, '/startup').then(
          ({ body }) => body.toString(),
          () => '',
        ),
      ),
    );
    program.child.kill('SIGTERM');
    assert.equal(await program.ended, null);
    assert.equal(program.child.signalCode, 'SIGKILL');
  });
});
