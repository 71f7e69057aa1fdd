/** `kubectl-onnx watch` against local mode's API server, with a fake terminal and without one. */
import assert from 'node:assert/strict';
import type { Claim } from '../../api/conditions.ts';
import type { OnnxModelStatus } from '../../api/onnxmodel.ts';
import { unpainted, type Terminal } from '../../cli/text/terminal.ts';
import { watch } from '../../cli/commands/watch.ts';
import { eventually } from '../support/eventually.ts';
import { ModelApi } from '../support/model-api.ts';

const said = (outcome: 'Ready' | 'Stalled' | 'Reconciling', reason: string): readonly Claim[] => [
  { type: 'Ready', status: outcome === 'Ready' ? 'True' : 'False', reason, message: `${reason} it is` },
  ...(outcome === 'Ready' ? [] : [{ type: outcome, status: 'True' as const, reason, message: `${reason} it is` }]),
];
const analyzing: Partial<OnnxModelStatus> = {
  message: 'Analyzing it is',
  stable: { revision: 'aaaaaaaaaa' },
  candidate: { revision: 'bbbbbbbbbb' },
  rollout: {
    phase: 'Analyzing',
    step: 1,
    steps: 3,
    desiredWeight: 5,
    actualWeight: 5,
    gates: [{ name: 'p95', verdict: 'Undecided', estimate: '+4%', lower: '-6%', upper: '+13%', limit: '+15%' }],
  },
};

describe('kubectl-onnx watch', () => {
  let api: ModelApi;
  before(async () => (api = await ModelApi.start('ml', 'whole')));
  after(() => api.close());
  afterEach(() => eventually('its watch is closed', () => api.server.faults.openWatches === 0));
  let count = 0;
  const newModel = (): string => {
    const name = `m${(count += 1)}`;
    api.create('ml', name);
    return name;
  };
  const live: Terminal = { isLive: true, paint: unpainted, columns: () => 80, rows: () => 40 };

  type Watching = { readonly text: () => string; readonly code: Promise<number>; readonly stop: () => void };
  function watching(terminal: Terminal | undefined, ...argv: readonly string[]): Watching {
    let text = '';
    const stop = new AbortController();
    const code = watch(
      [...argv, '--kubeconfig', api.kubeconfig, '-n', 'ml'],
      (piece) => (text += piece),
      stop.signal,
      terminal,
    );
    code.catch(() => {});
    return { text: () => text, code, stop: () => stop.abort(new Error('received SIGINT')) };
  }

  for (const [outcome, wanted] of [
    ['Ready', 0],
    ['Stalled', 1],
  ] as const) {
    it(`prints a line for each change and exits with ${wanted} when the model is ${outcome}`, async () => {
      const name = newModel();
      const { text, code } = watching(undefined, name);
      await eventually('it watches', () => api.server.faults.openWatches === 1);
      api.say('ml', name, { ...analyzing, claims: said('Reconciling', 'Analyzing') });
      await eventually('it prints the step', () => text().includes('[step 2 of 3, 5%]'));
      api.say('ml', name, { claims: said(outcome, 'Over') });
      assert.equal(await code, wanted);
      assert.deepEqual(
        text()
          .trimEnd()
          .split('\n')
          .map((line) => line.slice(9)),
        [
          `ml/${name}: Progressing: NotObserved: waiting for the operator to observe generation 1 (observed: none)`,
          `ml/${name}: Progressing: Analyzing: [step 2 of 3, 5%] Analyzing it is`,
          `ml/${name}: ${outcome}: Over: Over it is`,
        ],
      );
    });
  }

  it('redraws in place on a terminal and leaves the last page', async () => {
    const name = newModel();
    const { text, code } = watching(live, name);
    await eventually('it draws', () => text().includes('NotObserved'));
    api.say('ml', name, { ...analyzing, claims: said('Reconciling', 'Analyzing') });
    await eventually('it shows the gate', () => text().includes('p95'));
    api.say('ml', name, { claims: said('Ready', 'UpToDate') });
    assert.equal(await code, 0);
    const [hide, last] = [text().slice(0, 6), text().split('\u001b[J').at(-1) ?? ''];
    assert.equal(hide, '\u001b[?25l');
    assert.match(last, new RegExp(`^ml/${name}: Ready: UpToDate\n`));
    assert.ok(last.endsWith('\u001b[?25h'), JSON.stringify(last));
  });

  it('redraws every second without a change', async () => {
    const name = newModel();
    const { text, code, stop } = watching(live, name);
    await eventually('it has drawn twice', () => text().split('\u001b[J').length > 2);
    stop();
    assert.equal(await code, 130);
  });

  it('with --follow continues after the outcome, and restores the cursor on a signal', async () => {
    const name = newModel();
    api.say('ml', name, { claims: said('Stalled', 'OOMKilled') });
    const { text, code, stop } = watching(live, name, '--follow');
    await eventually('it shows the failure', () => text().includes('OOMKilled'));
    api.say('ml', name, { claims: said('Ready', 'UpToDate') });
    await eventually('it continues', () => text().includes('UpToDate'));
    stop();
    assert.equal(await code, 130);
    assert.ok(text().endsWith('\u001b[?25h'));
  });

  it('shows that the watch fails, and no longer shows it after recovery', async () => {
    const name = newModel();
    const { text, code } = watching(live, name);
    await eventually('it watches', () => api.server.faults.openWatches === 1);
    const off = api.server.faults.add({
      kind: 'refuse',
      code: 503,
      reason: 'ServiceUnavailable',
      message: 'gone for tea',
    });
    api.server.faults.resetWatches();
    await eventually('it shows the failure', () => text().includes('the watch failed and will be retried: '));
    off();
    api.say('ml', name, { claims: said('Ready', 'UpToDate') });
    assert.equal(await code, 0);
    assert.doesNotMatch(text().split('\u001b[J').at(-1) ?? '', /watch failed/);
  });

  it('exits with 2 at the timeout, and with 0 with --follow', async () => {
    assert.equal(await watching(undefined, newModel(), '--timeout', '1s').code, 2);
    assert.equal(await watching(undefined, newModel(), '--timeout', '1s', '--follow').code, 0);
  });

  it('restores the cursor when the model is deleted', async () => {
    const name = newModel();
    const { text, code } = watching(live, name);
    await eventually('it watches', () => api.server.faults.openWatches === 1);
    api.delete('ml', name);
    await assert.rejects(code, { kind: 'missing', message: `OnnxModel ml/${name}: was deleted` });
    assert.ok(text().endsWith('\u001b[?25h'));
  });

  it('prints its help', async () => {
    const { text, code } = watching(undefined, '--help');
    assert.equal(await code, 0);
    assert.match(text(), /^Usage: kubectl-onnx watch NAME/);
  });
});
