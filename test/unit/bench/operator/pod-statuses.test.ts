/** The statuses of the fake pods of the operator's bench, as the operator reads them. */
import assert from 'node:assert/strict';
import { deploymentStatus, podStatus, type PodStage } from '../../../../bench/operator/pod-statuses.ts';
import { parseLastWords } from '../../../../api/last-words.ts';
import { isReady, type Deployment, type Pod } from '../../../../kube/kinds.ts';
import { troubleOf } from '../../../../operator/see/pod-trouble.ts';

const pod = (stage: PodStage, ip?: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p' },
  status: podStatus(stage, ip) as NonNullable<Pod['status']>,
});
const deployment: Deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd', generation: 3 },
  spec: { replicas: 2 },
};

describe('podStatus', () => {
  for (const stage of ['Pending', 'Initializing', 'Running', 'Ready'] as const)
    it(`has no trouble for the operator while ${stage}`, () => assert.equal(troubleOf(pod(stage)), undefined));

  it('is ready in the last stage only', () =>
    assert.deepEqual(
      (['Initializing', 'Running', 'Ready'] as const).map((stage) => isReady(pod(stage, '127.0.0.1'))),
      [false, false, true],
    ));

  it('says what prepare has resolved', () => {
    const message = pod('Running').status?.initContainerStatuses?.[0]?.state?.terminated?.message ?? '';
    assert.equal(parseLastWords(message)?.kind, 'resolved');
  });
});

describe('deploymentStatus', () => {
  it('is available once all pods are ready', () => {
    const isAvailable = (...stages: readonly PodStage[]): unknown =>
      (deploymentStatus(deployment, stages) as NonNullable<Deployment['status']>).conditions?.[0]?.status;
    assert.deepEqual([isAvailable('Ready'), isAvailable('Ready', 'Ready')], ['False', 'True']);
  });

  it('counts pods, ready pods and those that are missing', () =>
    assert.partialDeepStrictEqual(deploymentStatus(deployment, ['Ready', 'Running']), {
      observedGeneration: 3,
      replicas: 2,
      readyReplicas: 1,
      unavailableReplicas: 1,
    }));
});
