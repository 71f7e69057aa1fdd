/** `kubectl-onnx wait` against local mode's API server: outcomes, and failures of its watch. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Claim } from '../../api/conditions.ts';
import { openCluster } from '../../cli/cluster/api-server.ts';
import { followModel } from '../../cli/cluster/models.ts';
import { wait } from '../../cli/commands/wait.ts';
import { systemClock } from '../../lib/clock.ts';
import { eventually } from '../support/eventually.ts';
import { ModelApi } from '../support/model-api.ts';

const ready: readonly Claim[] = [
  { type: 'Ready', status: 'True', reason: 'UpToDate', message: 'aaaaaaaaaa serves with 2 pods' },
];
const starting: readonly Claim[] = [
  { type: 'Ready', status: 'False', reason: 'RevisionStarting', message: 'bbbbbbbbbb has 0 of 2 pods ready' },
  { type: 'Reconciling', status: 'True', reason: 'RevisionStarting', message: 'bbbbbbbbbb has 0 of 2 pods ready' },
];
const stalled: readonly Claim[] = [
  { type: 'Ready', status: 'False', reason: 'OOMKilled', message: 'bbbbbbbbbb was given up' },
  {
    type: 'Stalled',
    status: 'True',
    reason: 'OOMKilled',
    message: 'bbbbbbbbbb was given up: \u001b[31mit needs more than 64Mi',
  },
];

describe('kubectl-onnx wait', () => {
  let api: ModelApi;
  before(async () => (api = await ModelApi.start('ml')));
  after(() => api.close());
  let count = 0;
  const newModel = (): string => {
    const name = `m${(count += 1)}`;
    api.create('ml', name);
    return name;
  };

  type Waiting = { readonly lines: () => string; readonly code: Promise<number>; readonly stop: () => void };
  function waiting(...argv: string[]): Waiting {
    let text = '';
    const stop = new AbortController();
    const code = wait([...argv, '--kubeconfig', api.kubeconfig, '-n', 'ml'], (piece) => (text += piece), stop.signal);
    code.catch(() => {});
    return { lines: () => text, code, stop: () => stop.abort(new Error('received SIGTERM')) };
  }
  const watching = (): Promise<boolean> => eventually('it watches', () => api.server.faults.openWatches === 1);
  const notWatching = (): Promise<boolean> =>
    eventually('its watch is closed', () => api.server.faults.openWatches === 0);
  afterEach(notWatching);

  it('exits at once for a ready model', async () => {
    const name = newModel();
    api.say('ml', name, { claims: ready });
    const { code, lines } = waiting(name);
    assert.equal(await code, 0);
    assert.equal(lines(), `ml/${name}: Ready: UpToDate: aaaaaaaaaa serves with 2 pods\n`);
  });

  it('exits with 1 for a failed rollout, and prints the reason without control characters', async () => {
    const name = newModel();
    api.say('ml', name, { claims: stalled });
    const { code, lines } = waiting(name);
    assert.equal(await code, 1);
    assert.equal(lines(), `ml/${name}: Stalled: OOMKilled: bbbbbbbbbb was given up:  [31mit needs more than 64Mi\n`);
  });

  it('prints a line for each change until the model is ready', async () => {
    const name = newModel();
    const { code, lines } = waiting(name);
    await watching();
    api.say('ml', name, { claims: starting });
    await eventually('it prints the start', () => lines().includes('RevisionStarting'));
    api.say('ml', name, { claims: ready });
    assert.equal(await code, 0);
    assert.deepEqual(
      lines()
        .trimEnd()
        .split('\n')
        .map((line) => line.split(': ')[2]),
      ['NotObserved', 'RevisionStarting', 'UpToDate'],
    );
  });

  it('prints only the outcome with --quiet', async () => {
    const name = newModel();
    const { code, lines } = waiting(name, '--quiet');
    await watching();
    api.say('ml', name, { claims: starting });
    api.say('ml', name, { claims: ready });
    assert.equal(await code, 0);
    assert.equal(lines(), `ml/${name}: Ready: UpToDate: aaaaaaaaaa serves with 2 pods\n`);
  });

  for (const { name: what, claims, code: wanted } of [
    { name: 'ready', claims: ready, code: 0 },
    { name: 'stalled', claims: stalled, code: 1 },
  ]) {
    it(`ignores ${what} of the previous spec`, async () => {
      const name = newModel();
      api.say('ml', name, { claims });
      api.changeSpec('ml', name, { replicas: 3 });
      const { code, lines } = waiting(name);
      await watching();
      assert.match(
        lines(),
        /Progressing: NotObserved: waiting for the operator to observe generation 2 \(observed: 1\)/,
      );
      // Raise only the status's observedGeneration. The condition Ready is still for the previous generation and must
      // not count.
      const model = api.get('ml', name);
      api.server.objects.updateStatus(
        { apiVersion: model.apiVersion, plural: 'onnxmodels' },
        { ...model, status: { ...(model['status'] as object), observedGeneration: 2 } },
      );
      await eventually('it prints that Ready is missing', () => lines().includes('NoReadyCondition'));
      api.say('ml', name, { claims });
      assert.equal(await code, wanted);
    });
  }

  it('waits for the new spec when the spec changes meanwhile', async () => {
    const name = newModel();
    const { code } = waiting(name);
    await watching();
    api.changeSpec('ml', name, { replicas: 3 });
    api.say('ml', name, { claims: ready, generation: 1 });
    api.say('ml', name, { claims: stalled });
    assert.equal(await code, 1);
  });

  const cuts: readonly { readonly name: string; readonly cut: () => void }[] = [
    { name: 'ends', cut: () => api.server.faults.closeWatches() },
    { name: 'breaks', cut: () => api.server.faults.resetWatches() },
    {
      name: 'breaks, and the server is down for three requests',
      cut: () => {
        api.server.faults.add({ kind: 'refuse', code: 503, reason: 'ServiceUnavailable', times: 1 });
        api.server.faults.add({ kind: 'reset', times: 2 });
        api.server.faults.resetWatches();
      },
    },
    {
      name: 'breaks, and its resourceVersion has expired',
      cut: () => {
        api.server.faults.resetWatches();
        api.changeSpec('ml', `m${count}`, { replicas: 5 });
        api.server.faults.expireEvents();
      },
    },
  ];
  for (const { name: how, cut } of cuts) {
    it(`continues when its watch ${how}`, async () => {
      const name = newModel();
      const { code } = waiting(name);
      await watching();
      cut();
      api.say('ml', name, { claims: ready });
      assert.equal(await code, 0);
    });
  }

  it('replaces a watch that is open but silent', async () => {
    const name = newModel();
    const stop = new AbortController();
    const cluster = await openCluster({ kubeconfig: api.kubeconfig });
    const models = followModel(
      cluster,
      { namespace: 'ml', name },
      { clock: systemClock, signal: stop.signal, watchSeconds: 1 },
    );
    assert.equal((await models.next()).value?.status?.conditions, undefined);
    const next = models.next();
    await watching();
    api.server.faults.stallWatches();
    api.say('ml', name, { claims: ready });
    assert.equal((await next).value?.status?.conditions?.[0]?.reason, 'UpToDate');
    stop.abort();
    assert.equal((await models.next()).done, true);
  });

  it('backs off when the server refuses every watch', async () => {
    const name = newModel();
    let asked = 0;
    const off = api.server.faults.add({
      kind: 'refuse',
      code: 500,
      reason: 'InternalError',
      matches: ({ query }) => query.has('watch') && (asked += 1) > 0,
    });
    const { code } = waiting(name, '--timeout', '2s');
    assert.equal(await code, 2);
    off();
    // The waits are 200 ms, 400 ms, 800 ms and so on, and jitter may halve each wait, so at most 5 tries fit into 2 s.
    assert.ok(asked >= 2 && asked <= 5, `${asked} tries`);
  });

  it('exits with 2 at the timeout', async () => {
    const name = newModel();
    api.say('ml', name, { claims: starting });
    const { code, lines } = waiting(name, '--timeout', '1s', '-q');
    assert.equal(await code, 2);
    assert.equal(
      lines(),
      `ml/${name}: Timeout: not decided within 1s: RevisionStarting: bbbbbbbbbb has 0 of 2 pods ready\n`,
    );
  });

  it('reports at the timeout that the server has not answered', async () => {
    const off = api.server.faults.add({ kind: 'silence' });
    const { code, lines } = waiting('m1', '--timeout', '1s');
    assert.equal(await code, 2);
    assert.equal(lines(), 'ml/m1: Timeout: not decided within 1s: the API server has not answered\n');
    off();
  });

  it('exits with 130 on a signal', async () => {
    const { code, stop } = waiting(newModel());
    await watching();
    stop();
    assert.equal(await code, 130);
  });

  it('reports that a model does not exist', async () => {
    await assert.rejects(waiting('absent').code, {
      code: 'BAD_CONFIG',
      kind: 'missing',
      message: 'OnnxModel ml/absent: does not exist',
    });
  });

  it('fails when the model is deleted', async () => {
    const name = newModel();
    const { code } = waiting(name);
    await watching();
    api.delete('ml', name);
    await assert.rejects(code, { kind: 'missing', message: `OnnxModel ml/${name}: was deleted` });
  });

  it('fails at once without permission', async () => {
    const off = api.server.faults.add({ kind: 'refuse', code: 403, reason: 'Forbidden', message: 'you may not' });
    await assert.rejects(waiting('m1').code, {
      code: 'KUBE_STATUS',
      kind: 'invalid',
      message: /403 Forbidden .*: you may not/,
    });
    off();
  });

  const wrong: readonly { readonly name: string; readonly argv: readonly string[]; readonly says: RegExp }[] = [
    { name: 'no name', argv: [], says: /NAME: give the name of one OnnxModel \(got 0 / },
    { name: 'two names', argv: ['a', 'b'], says: /NAME: give the name of one OnnxModel \(got 2 / },
    { name: 'a name that would change the field selector', argv: ['a,metadata.name!=a'], says: /cannot be the name/ },
    { name: 'a timeout without a unit', argv: ['a', '--timeout', '10'], says: /--timeout: '10' is not a duration/ },
    { name: 'a timeout of 0', argv: ['a', '--timeout', '0s'], says: /--timeout/ },
    {
      name: 'an unknown flag',
      argv: ['a', '--for', 'Ready'],
      says: /wait: unknown flag "--for"; available flags: --kubeconfig, /,
    },
  ];
  for (const { name, argv, says } of wrong) {
    it(`refuses ${name}`, () => assert.rejects(waiting(...argv).code, { code: 'BAD_FLAG', message: says }));
  }

  it('refuses a missing kubeconfig, or one without the context', async () => {
    await assert.rejects(
      wait(['a', '--kubeconfig', '/nonexistent/config'], () => {}, new AbortController().signal),
      { code: 'BAD_CONFIG', message: /^\/nonexistent\/config: / },
    );
    await assert.rejects(waiting('a', '--context', 'other').code, {
      code: 'BAD_CONFIG',
      message: /context 'other' refers to a cluster that the file does not contain/,
    });
  });

  it('has these exit codes as a program', async () => {
    const name = newModel();
    api.say('ml', name, { claims: stalled });
    const ended = async (...argv: string[]): Promise<{ code: number | null; said: string }> => {
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, '..', '..', 'cli', 'main.ts'), 'wait', ...argv],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      );
      let said = '';
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (piece: string) => (said += piece));
      const code = await new Promise<number | null>((resolve) => void child.once('close', resolve));
      return { code, said };
    };
    const cluster = ['--kubeconfig', api.kubeconfig, '-n', 'ml'];
    const [bad, none, help] = await Promise.all([
      ended(name, ...cluster),
      ended('absent', ...cluster),
      ended('--help'),
    ]);
    assert.deepEqual([bad.code, none.code, help.code], [1, 2, 0]);
    assert.match(bad.said, /Stalled: OOMKilled: /);
    assert.equal(none.said, 'error: OnnxModel ml/absent: does not exist\n');
    assert.match(help.said, /^Usage: kubectl-onnx wait NAME/);
  });
});
