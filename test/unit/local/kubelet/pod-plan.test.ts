import assert from 'node:assert/strict';
import type { BackoffLimits } from '../../../../local/kubelet/backoff.ts';
import {
  newRecord,
  recordAfterReboot,
  restartsAtStart,
  type ContainerRecord,
} from '../../../../local/kubelet/container-record.ts';
import { planPod } from '../../../../local/kubelet/pod-plan.ts';
import type { Container, StoredContainerStatus, PodSpec } from '../../../../local/kubelet/pod.ts';

const limits: BackoffLimits = { baseMs: 10_000, maxMs: 300_000 };
const box = (name: string, parts: Partial<Container> = {}): Container => ({ name, image: 'i', ...parts });
const running = (parts: Partial<ContainerRecord> = {}): ContainerRecord => ({
  ...newRecord,
  phase: { kind: 'running', startedMs: 0, containerId: 'x' },
  started: true,
  ready: true,
  ...parts,
});
const exited = (exitCode: number, endedMs = 0, parts: Partial<ContainerRecord> = {}): ContainerRecord => ({
  ...newRecord,
  phase: { kind: 'exited', end: { exitCode, reason: 'Error' }, endedMs },
  ...parts,
});
const blocked = (retryAtMs: number): ContainerRecord => ({
  ...newRecord,
  phase: { kind: 'blocked', reason: 'ErrImagePull', message: '', retryAtMs },
});

type Row = {
  name: string;
  spec?: Partial<PodSpec>;
  records?: Readonly<Record<string, ContainerRecord>>;
  nowMs?: number;
  start: readonly string[];
  recheckAtMs?: number;
};

const inits = { initContainers: [box('one'), box('two')] };
const withSidecar = { initContainers: [box('proxy', { restartPolicy: 'Always' }), box('one')] };

// prettier-ignore
const rows: readonly Row[] = [
  { name: 'starts all main containers at once', start: ['a', 'b'] },
  { name: 'does not start a running container', records: { a: running() }, start: ['b'] },
  { name: 'starts the first init container alone', spec: inits, start: ['one'] },
  { name: 'waits for an init container that runs', spec: inits, records: { one: running() }, start: [] },
  { name: 'starts the next init container when one succeeded',
    spec: inits, records: { one: exited(0) }, start: ['two'] },
  { name: 'starts the main containers when all init containers succeeded',
    spec: inits, records: { one: exited(0), two: exited(0) }, start: ['a', 'b'] },
  { name: 'restarts a failed init container', spec: inits, records: { one: exited(1) }, start: ['one'] },
  { name: 'starts nothing after a failed init container that may not be restarted',
    spec: { ...inits, restartPolicy: 'Never' }, records: { one: exited(1) }, start: [] },
  { name: 'starts a sidecar and waits until it has started', spec: withSidecar,
    records: { proxy: running({ started: false }) }, start: [] },
  { name: 'continues when a sidecar has started',
    spec: withSidecar, records: { proxy: running() }, start: ['one'] },
  { name: 'restarts a sidecar beside running main containers', spec: withSidecar,
    records: { proxy: exited(0), one: exited(0), a: running(), b: running() }, start: ['proxy'] },
  { name: 'restarts a main container although a sidecar is down', spec: withSidecar,
    records: { proxy: exited(0), one: exited(0), a: running(), b: exited(1) }, start: ['proxy', 'b'] },
  { name: 'restarts a container after every exit code with Always',
    records: { a: exited(0), b: exited(1) }, start: ['a', 'b'] },
  { name: 'restarts only a failed one with OnFailure', spec: { restartPolicy: 'OnFailure' },
    records: { a: exited(0), b: exited(1) }, start: ['b'] },
  { name: 'restarts none with Never', spec: { restartPolicy: 'Never' },
    records: { a: exited(0), b: exited(1) }, start: [] },
  { name: 'waits until the back-off is over', records: { a: running(),
      b: exited(1, 5_000, { backoff: { waitMs: 10_000, settledMs: 0 } }) },
    nowMs: 9_000, start: [], recheckAtMs: 15_000 },
  { name: 'starts when the backoff is over',
    records: { a: running(), b: exited(1, 5_000,
      { backoff: { waitMs: 10_000, settledMs: 0 } }) }, nowMs: 15_000, start: ['b'] },
  { name: 'gives the earliest of all times as the next one', records: { a: blocked(7_000), b: blocked(6_000) },
    nowMs: 1_000, start: [], recheckAtMs: 6_000 },
  { name: 'tries an image again when its wait is over',
    records: { a: blocked(7_000), b: running() }, nowMs: 7_000, start: ['a'] },
];

describe('planPod', () => {
  for (const { name, spec, records = {}, nowMs = 0, start, recheckAtMs } of rows) {
    it(name, () => {
      const plan = planPod(
        { containers: [box('a'), box('b')], ...spec },
        new Map(Object.entries(records)),
        nowMs,
        limits,
      );
      assert.deepEqual(
        plan.start.map((container) => container.name),
        start,
      );
      assert.equal(plan.recheckAtMs, recheckAtMs);
    });
  }
});

describe('recordAfterReboot', () => {
  const status = (state: StoredContainerStatus['state'], restartCount = 2): StoredContainerStatus => ({
    name: 'a',
    state,
    lastState: {},
    ready: false,
    started: false,
    restartCount,
    image: 'i',
    imageID: '',
  });

  it('starts a container again after a run with an unknown exit code', () => {
    const record = recordAfterReboot(status({ running: { startedAt: '2026-01-01T00:00:00Z' } }), true, 0);
    assert.equal(record.phase.kind, 'new');
    assert.deepEqual([record.last?.exitCode, record.last?.startedAt], [255, '2026-01-01T00:00:00Z']);
    assert.equal(restartsAtStart(record), 3);
  });

  it('does not restart a container that has ended for good', () => {
    const record = recordAfterReboot(status({ terminated: { exitCode: 0, reason: 'Completed' } }), false, 0);
    assert.equal(record.phase.kind, 'exited');
  });

  it('has no last run for a container that never ran', () => {
    assert.equal(
      restartsAtStart(recordAfterReboot(status({ waiting: { reason: 'ContainerCreating' } }, 0), true, 0)),
      0,
    );
  });
});
