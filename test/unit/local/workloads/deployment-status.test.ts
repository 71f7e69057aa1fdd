import assert from 'node:assert/strict';
import { describeDeployment } from '../../../../local/workloads/deployment-status.ts';
import { toApiTime } from '../../../../api/conditions.ts';
import {
  type StoredDeployment,
  type DeploymentStatus,
  type ReplicaSet,
} from '../../../../local/workloads/resources.ts';

const t0 = Date.UTC(2026, 0, 1);
const meta = {
  name: 'web',
  namespace: 'default',
  uid: 'd',
  resourceVersion: '1',
  creationTimestamp: toApiTime(t0),
  generation: 2,
};
const deployment = (status?: DeploymentStatus): StoredDeployment => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: meta,
  spec: { replicas: 2, selector: {}, template: { spec: {} }, progressDeadlineSeconds: 60 },
  ...(status === undefined ? {} : { status }),
});
const set = (name: string, wanted: number, ready: number, failure?: string): ReplicaSet => ({
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  metadata: { ...meta, name, uid: name },
  spec: { replicas: wanted, selector: {}, template: { spec: {} } },
  status: {
    replicas: wanted,
    readyReplicas: ready,
    availableReplicas: ready,
    ...(failure === undefined
      ? {}
      : {
          conditions: [
            {
              type: 'ReplicaFailure',
              status: 'True',
              reason: 'FailedCreate',
              message: failure,
              lastTransitionTime: toApiTime(t0),
            },
          ],
        }),
  },
});
const describeAt = (
  nowMs: number,
  before: DeploymentStatus | undefined,
  sets: readonly ReplicaSet[],
): ReturnType<typeof describeDeployment> =>
  describeDeployment({
    deployment: deployment(before),
    current: sets.find((one) => one.metadata.name === 'new'),
    sets,
    maxUnavailable: 0,
    nowMs,
  });
const says = (status: DeploymentStatus): Record<string, string> =>
  Object.fromEntries((status.conditions ?? []).map(({ type, status: value, reason }) => [type, `${value} ${reason}`]));

describe('describeDeployment', () => {
  const starting = describeAt(t0, undefined, [set('new', 2, 0)]);

  it('begins as progressing and not available', () => {
    assert.deepEqual(says(starting.status), {
      Available: 'False MinimumReplicasUnavailable',
      Progressing: 'True NewReplicaSetCreated',
    });
    assert.equal(starting.recheckMs, 60_000);
  });

  it('is complete when all pods are new and available', () => {
    const { status, recheckMs } = describeAt(t0 + 5_000, starting.status, [set('new', 2, 2)]);
    assert.deepEqual(says(status), {
      Available: 'True MinimumReplicasAvailable',
      Progressing: 'True NewReplicaSetAvailable',
    });
    assert.deepEqual(
      [
        status.replicas,
        status.updatedReplicas,
        status.readyReplicas,
        status.availableReplicas,
        status.unavailableReplicas,
      ],
      [2, 2, 2, 2, 0],
    );
    assert.equal(recheckMs, undefined);
  });

  it('restarts the deadline when a pod becomes ready', () => {
    const { status, recheckMs } = describeAt(t0 + 50_000, starting.status, [set('new', 2, 1)]);
    assert.equal(says(status)['Progressing'], 'True ReplicaSetUpdated');
    assert.equal(recheckMs, 60_000);
  });

  it('is late after a whole deadline without progress', () => {
    const { status, recheckMs } = describeAt(t0 + 60_000, starting.status, [set('new', 2, 0)]);
    assert.equal(says(status)['Progressing'], 'False ProgressDeadlineExceeded');
    assert.equal(recheckMs, undefined);
  });

  it('is complete when the pods become available late', () => {
    const late = describeAt(t0 + 60_000, starting.status, [set('new', 2, 0)]).status;
    assert.equal(
      says(describeAt(t0 + 70_000, late, [set('new', 2, 2)]).status)['Progressing'],
      'True NewReplicaSetAvailable',
    );
  });

  it('does not count a lost pod of a complete Deployment as lack of progress', () => {
    const complete = describeAt(t0 + 5_000, starting.status, [set('new', 2, 2)]).status;
    const { status } = describeAt(t0 + 500_000, complete, [set('new', 2, 1)]);
    assert.deepEqual(says(status), {
      Available: 'False MinimumReplicasUnavailable',
      Progressing: 'True NewReplicaSetAvailable',
    });
  });

  it('counts the pods of old sets', () => {
    const { status } = describeAt(t0, undefined, [set('old', 2, 2), set('new', 1, 0)]);
    assert.deepEqual(
      [status.replicas, status.updatedReplicas, status.readyReplicas, status.unavailableReplicas],
      [3, 1, 2, 1],
    );
  });

  it('reports why pods could not be created', () => {
    const { status } = describeAt(t0, undefined, [set('new', 2, 0, 'quota')]);
    assert.equal(says(status)['ReplicaFailure'], 'True FailedCreate');
  });

  it('is the same when nothing changed, so that nothing is written', () => {
    assert.deepEqual(describeAt(t0 + 30_000, starting.status, [set('new', 2, 0)]).status, starting.status);
  });
});
