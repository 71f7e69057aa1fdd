/** What a pass (one run of the operator for a model) learns from the pods of a revision. */
import assert from 'node:assert/strict';
import { printLastWords, type Resolved } from '../../../../api/last-words.ts';
import { containers, labels } from '../../../../api/names.ts';
import type { Deployment, Pod } from '../../../../kube/kinds.ts';
import { observe } from '../../../../operator/see/observe.ts';
import { FakeCluster } from '../../../support/fake-cluster.ts';
import { given } from '../../../support/given.ts';
import { HandClock } from '../../../support/hand-clock.ts';
import { operatorSettings } from '../../../support/operator-of.ts';

const cluster = new FakeCluster(new HandClock());
cluster.put(given.spec());
const { caches } = cluster;
const { model, rollout } = observe('ml/ranker', caches, operatorSettings) ?? assert.fail('no model');
const { target } = rollout;

const owner = { apiVersion: model.apiVersion, kind: model.kind, name: 'ranker', uid: model.metadata.uid ?? '' };
const deployment: Deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: `ranker-${target}`, namespace: 'ml', ownerReferences: [owner] },
};

/** A pod whose `prepare` resolved the model to a digest of one repeated digit. */
function podOf(name: string, creationTimestamp: string, digit: string): Pod {
  const resolved: Resolved = {
    digest: `sha256:${digit.repeat(64)}`,
    bytes: 1,
    signature: 's',
    opset: 17,
    precision: 'Source',
    provider: 'CPU',
    memoryEstimateBytes: 2 ** 26,
  };
  const terminated = { exitCode: 0, message: printLastWords({ kind: 'resolved', resolved }) };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'ml', creationTimestamp, labels: { [labels.revision]: target } },
    status: {
      initContainerStatuses: [{ name: containers.prepare, ready: true, restartCount: 0, state: { terminated } }],
    },
  };
}

function digitLearned(pods: readonly Pod[]): string | undefined {
  const seen = observe('ml/ranker', { ...caches, deployments: () => [deployment], pods: () => pods }, operatorSettings);
  return seen?.records.get(target)?.resolved?.digest.at(-1);
}

describe('the record of a revision', () => {
  const [first, second, later] = [
    podOf('ranker-a', '2026-01-01T00:00:01Z', '1'),
    podOf('ranker-b', '2026-01-01T00:00:01Z', '2'),
    podOf('ranker-0', '2026-01-01T00:00:02Z', '3'),
  ] as const;
  // prettier-ignore
  const rows: readonly (readonly [sentence: string, pods: readonly Pod[], digit: string])[] = [
    ['has the result of the oldest pod', [later, second], '2'],
    ['has the result of the first pod by name, of pods created in the same second', [first, second], '1'],
    ['does not depend on the order of the pods in the cache', [later, second, first], '1'],
  ];
  for (const [sentence, pods, digit] of rows) it(sentence, () => assert.equal(digitLearned(pods), digit));
});
