import assert from 'node:assert/strict';
import type { StoredPod } from '../../../../local/kubelet/pod.ts';
import { describeReplicaSet, planReplicas } from '../../../../local/workloads/replica-set.ts';
import { toApiTime } from '../../../../api/conditions.ts';
import { type ReplicaSet } from '../../../../local/workloads/resources.ts';

const t0 = Date.UTC(2026, 0, 1);

function pod(name: string, state: 'waiting' | 'pending' | 'running' | 'ready', ageMs = 0): StoredPod {
  const at = toApiTime(t0 - ageMs);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: at },
    spec: { containers: [], ...(state === 'waiting' ? {} : { nodeName: 'local' }) },
    status: {
      phase: state === 'running' || state === 'ready' ? 'Running' : 'Pending',
      conditions: [
        { type: 'Ready', status: state === 'ready' ? 'True' : 'False', lastProbeTime: null, lastTransitionTime: at },
      ],
    },
  };
}

describe('planReplicas', () => {
  // prettier-ignore
  const rows: readonly { name: string; wanted: number; active: readonly StoredPod[];
    want: { create: number; remove: readonly string[] } }[] = [
    { name: 'creates missing pods', wanted: 3, active: [pod('a', 'ready')], want: { create: 2, remove: [] } },
    { name: 'does nothing with enough pods', wanted: 1, active: [pod('a', 'ready')], want: { create: 0, remove: [] } },
    { name: 'deletes a pod without a node before a running one', wanted: 1,
      active: [pod('a', 'ready'), pod('b', 'waiting')], want: { create: 0, remove: ['b'] } },
    { name: 'deletes a pod that is not ready before a ready one', wanted: 1,
      active: [pod('a', 'ready'), pod('b', 'running')], want: { create: 0, remove: ['b'] } },
    { name: 'deletes a pending pod before a running one', wanted: 1,
      active: [pod('a', 'running'), pod('b', 'pending')], want: { create: 0, remove: ['b'] } },
    { name: 'deletes the youngest among equals', wanted: 1,
      active: [pod('old', 'ready', 9000), pod('young', 'ready', 1000)], want: { create: 0, remove: ['young'] } },
    { name: 'deletes all pods when 0 are desired', wanted: 0,
      active: [pod('a', 'ready'), pod('b', 'waiting')], want: { create: 0, remove: ['b', 'a'] } },
  ];
  for (const { name, wanted, active, want } of rows) {
    it(name, () => {
      const plan = planReplicas(wanted, active);
      assert.deepEqual({ create: plan.create, remove: plan.remove.map((one) => one.metadata.name) }, want);
    });
  }
});

describe('describeReplicaSet', () => {
  const set: ReplicaSet = {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: 's', uid: 's', resourceVersion: '1', creationTimestamp: toApiTime(t0), generation: 4 },
    spec: { replicas: 2, selector: {}, template: { spec: {} }, minReadySeconds: 10 },
  };

  it('counts a pod as available once it was ready for minReadySeconds', () => {
    const { status, recheckMs } = describeReplicaSet(
      set,
      [pod('a', 'ready', 12_000), pod('b', 'ready', 4_000), pod('c', 'running')],
      t0,
    );
    assert.deepEqual(
      [status.replicas, status.readyReplicas, status.availableReplicas, status.observedGeneration],
      [3, 2, 1, 4],
    );
    assert.equal(recheckMs, 6_000);
  });

  it('reports why a pod could not be created', () => {
    const { status } = describeReplicaSet(set, [], t0, 'quota exceeded');
    assert.deepEqual(
      status.conditions?.map(({ type, reason, message }) => [type, reason, message]),
      [['ReplicaFailure', 'FailedCreate', 'quota exceeded']],
    );
  });
});
