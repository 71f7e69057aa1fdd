/** The status of a pod from the records of its containers. */
import assert from 'node:assert/strict';
import { newRecord, type ContainerRecord } from '../../../../local/kubelet/container-record.ts';
import { describePod, qosOf } from '../../../../local/kubelet/pod-status.ts';
import type { Container, StoredPod, PodSpec, PodStatus } from '../../../../local/kubelet/pod.ts';

const t0 = Date.UTC(2026, 0, 1);
const box = (name: string, parts: Partial<Container> = {}): Container => ({ name, image: 'i', ...parts });
const running: ContainerRecord = {
  ...newRecord,
  phase: { kind: 'running', startedMs: t0, containerId: 'process://7' },
  started: true,
  ready: true,
};
const exited = (exitCode: number, parts: Partial<ContainerRecord> = {}): ContainerRecord => ({
  ...newRecord,
  phase: { kind: 'exited', end: { exitCode, reason: exitCode === 0 ? 'Completed' : 'Error' }, endedMs: t0 },
  ...parts,
});
const pulling: ContainerRecord = {
  ...newRecord,
  phase: { kind: 'blocked', reason: 'ErrImagePull', message: 'no such image', retryAtMs: t0 },
};

function describeWith(
  records: Readonly<Record<string, ContainerRecord>>,
  spec: Partial<PodSpec> = {},
  more: { stopping?: boolean; before?: PodStatus; nowMs?: number } = {},
): PodStatus {
  const pod: StoredPod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'p',
      namespace: 'default',
      uid: 'u',
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: { containers: [box('main')], ...spec },
    ...(more.before === undefined ? {} : { status: more.before }),
  };
  return describePod({
    pod,
    records: new Map(Object.entries(records)),
    podIp: '127.64.0.1',
    hostIp: '127.0.0.1',
    startedMs: t0,
    nowMs: more.nowMs ?? t0,
    stopping: more.stopping ?? false,
    limits: { baseMs: 10_000, maxMs: 300_000 },
    imageId: () => 'id',
  });
}

/** The state in one word, as kubectl prints it. */
function word(status: PodStatus): string {
  const state = status.containerStatuses?.[0]?.state;
  if (state === undefined) return 'none';
  if ('waiting' in state) return state.waiting.reason;
  return 'running' in state ? 'Running' : state.terminated.reason;
}

type Row = {
  name: string;
  records: Readonly<Record<string, ContainerRecord>>;
  spec?: Partial<PodSpec>;
  stopping?: boolean;
  want: { phase: string; word: string; ready: boolean };
};

const never = { restartPolicy: 'Never' as const };
const init = { initContainers: [box('prepare')] };
const crashed = exited(1, { backoff: { waitMs: 20_000, settledMs: t0 } });

// prettier-ignore
const rows: readonly Row[] = [
  { name: 'waits to be created', records: {}, want: { phase: 'Pending', word: 'ContainerCreating', ready: false } },
  { name: 'waits for its initialisation', records: {}, spec: init,
    want: { phase: 'Pending', word: 'PodInitializing', ready: false } },
  { name: 'runs and is ready', records: { main: running }, want: { phase: 'Running', word: 'Running', ready: true } },
  { name: 'runs and is not ready', records: { main: { ...running, ready: false } },
    want: { phase: 'Running', word: 'Running', ready: false } },
  { name: 'is pending while an image is missing', records: { main: pulling },
    want: { phase: 'Pending', word: 'ErrImagePull', ready: false } },
  { name: 'shows the exit of a run that is restarted at once', records: { main: exited(1) },
    want: { phase: 'Running', word: 'Error', ready: false } },
  { name: 'shows the back-off of a run that is not', records: { main: crashed },
    want: { phase: 'Running', word: 'CrashLoopBackOff', ready: false } },
  { name: 'succeeds when all containers succeeded and none is restarted', records: { main: exited(0) },
    spec: never, want: { phase: 'Succeeded', word: 'Completed', ready: false } },
  { name: 'fails when one container failed and none is restarted', records: { main: exited(1) },
    spec: never, want: { phase: 'Failed', word: 'Error', ready: false } },
  { name: 'keeps running with OnFailure after a failure', records: { main: crashed },
    spec: { restartPolicy: 'OnFailure' }, want: { phase: 'Running', word: 'CrashLoopBackOff', ready: false } },
  { name: 'fails with an init container that may not run again', records: { prepare: exited(1) },
    spec: { ...init, ...never }, want: { phase: 'Failed', word: 'PodInitializing', ready: false } },
  { name: 'has ended when it is stopped', records: { main: crashed },
    stopping: true, want: { phase: 'Failed', word: 'Error', ready: false } },
  { name: 'stays ready while it is being stopped, until it ends', records: { main: running },
    stopping: true, want: { phase: 'Running', word: 'Running', ready: true } },
];

describe('describePod', () => {
  for (const { name, records, spec, stopping = false, want } of rows) {
    it(name, () => {
      const status = describeWith(records, spec, { stopping });
      const ready = status.conditions?.find((one) => one.type === 'Ready')?.status === 'True';
      assert.deepEqual({ phase: status.phase, word: word(status), ready }, want);
    });
  }

  it('words the back-off as the kubelet does and keeps the exit as the last state', () => {
    const [status] = describeWith({ main: crashed }).containerStatuses ?? [];
    assert.deepEqual(status?.state, {
      waiting: {
        reason: 'CrashLoopBackOff',
        message: 'back-off 20s restarting failed container=main pod=p_default(u)',
      },
    });
    assert.deepEqual(status?.lastState, { terminated: { exitCode: 1, reason: 'Error' } });
  });

  it('names the init containers that are not done', () => {
    const status = describeWith({ prepare: running }, init);
    assert.equal(
      status.conditions?.find((one) => one.type === 'Initialized')?.message,
      'containers with incomplete status: [prepare]',
    );
  });

  it('keeps the time of an unchanged condition', () => {
    const before = describeWith({ main: running });
    assert.deepEqual(describeWith({ main: running }, {}, { before, nowMs: t0 + 60_000 }), before);
  });

  it('moves the time of a condition that changes', () => {
    const before = describeWith({ main: running });
    const after = describeWith({ main: { ...running, ready: false } }, {}, { before, nowMs: t0 + 60_000 });
    assert.equal(after.conditions?.find((one) => one.type === 'Ready')?.lastTransitionTime, '2026-01-01T00:01:00Z');
    assert.equal(
      after.conditions?.find((one) => one.type === 'PodScheduled')?.lastTransitionTime,
      '2026-01-01T00:00:00Z',
    );
  });
});

describe('qosOf', () => {
  const spec = (resources: Container['resources']): PodSpec => ({
    containers: [box('a', resources === undefined ? {} : { resources })],
  });
  it('is Guaranteed with equal requests and limits of both', () =>
    assert.equal(qosOf(spec({ limits: { cpu: '1', memory: '1Gi' } })), 'Guaranteed'));
  it('is Burstable with some', () => assert.equal(qosOf(spec({ limits: { memory: '1Gi' } })), 'Burstable'));
  it('is BestEffort without any', () => assert.equal(qosOf(spec(undefined)), 'BestEffort'));
});
