import assert from 'node:assert/strict';
import { containerEnv, expandVariables, type EnvFacts } from '../../../../local/kubelet/container-env.ts';
import type { Container, EnvVar, StoredPod } from '../../../../local/kubelet/pod.ts';

const pod: StoredPod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'web-1',
    namespace: 'shop',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
    labels: { 'example.com/team': 'a' },
    annotations: { note: 'b' },
  },
  spec: {
    containers: [
      { name: 'main', image: 'i', resources: { limits: { memory: '1Gi', cpu: '1500m' }, requests: { cpu: '250m' } } },
      { name: 'other', image: 'i' },
    ],
    nodeName: 'local',
  },
};
const facts: EnvFacts = {
  pod,
  podIp: '127.64.0.9',
  hostIp: '127.0.0.1',
  capacity: { cpu: 4, memoryBytes: 8 * 2 ** 30 },
  configMap: (name) => (name === 'settings' ? { mode: 'fast' } : undefined),
};
const valueOf = (from: NonNullable<EnvVar['valueFrom']>, container = 0): unknown => {
  const outcome = containerEnv(
    { ...(pod.spec.containers[container] as Container), env: [{ name: 'X', valueFrom: from }] },
    facts,
  );
  return 'problem' in outcome ? outcome.problem : outcome.env['X'];
};
const field = (fieldPath: string): unknown => valueOf({ fieldRef: { fieldPath } });
const resource = (name: string, more: object = {}, container = 0): unknown =>
  valueOf({ resourceFieldRef: { resource: name, ...more } }, container);

describe('containerEnv', () => {
  // prettier-ignore
  const rows: readonly (readonly [string, () => unknown, string | undefined])[] = [
    ['gives the name', () => field('metadata.name'), 'web-1'],
    ['gives the namespace', () => field('metadata.namespace'), 'shop'],
    ['gives the address', () => field('status.podIP'), '127.64.0.9'],
    ['gives a label', () => field("metadata.labels['example.com/team']"), 'a'],
    ['gives an annotation', () => field("metadata.annotations['note']"), 'b'],
    ['gives an empty value for a missing label', () => field("metadata.labels['none']"), ''],
    ['reports an unsupported field', () => field('status.phase'), 'unsupported fieldPath: status.phase'],
    ['gives a memory limit in bytes', () => resource('limits.memory'), '1073741824'],
    ['gives a memory limit by a divisor', () => resource('limits.memory', { divisor: '1Mi' }), '1024'],
    ['treats a divisor of 0 as 1', () => resource('limits.memory', { divisor: '0' }), '1073741824'],
    ['rounds cores up', () => resource('limits.cpu'), '2'],
    ['gives millicores', () => resource('requests.cpu', { divisor: '1m' }), '250'],
    ['gives the node\'s amount when there is no limit', () => resource('limits.cpu', {}, 1), '4'],
    ['gives the limits of another container', () => resource('limits.cpu', { containerName: 'main' }, 1), '2'],
    ['gives a key of a ConfigMap', () => valueOf({ configMapKeyRef: { name: 'settings', key: 'mode' } }), 'fast'],
    ['names the missing ConfigMap', () =>
        valueOf({ configMapKeyRef: { name: 'none', key: 'mode' } }), 'configmap "none" not found'],
    ['names the missing key', () => valueOf({ configMapKeyRef: { name: 'settings', key: 'none' } }),
      "couldn't find key none in ConfigMap shop/settings"],
    ['leaves out a missing optional key', () => valueOf(
        { configMapKeyRef: { name: 'none', key: 'mode', optional: true } }), undefined],
  ];
  for (const [name, value, want] of rows) it(name, () => assert.equal(value(), want));

  const refused: readonly (readonly [string, Partial<Container>, RegExp])[] = [
    [
      'reports that secrets are not supported',
      {
        env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } as NonNullable<EnvVar['valueFrom']> }],
      },
      /^env X: this kind of valueFrom/,
    ],
    ['reports that envFrom is not supported', { envFrom: [{}] }, /^envFrom is not supported/],
  ];
  for (const [name, parts, problem] of refused) {
    it(name, () => {
      const outcome = containerEnv({ name: 'c', image: 'i', ...parts }, facts);
      assert.match('problem' in outcome ? outcome.problem : '', problem);
    });
  }

  it('lets a value use earlier ones', () => {
    const outcome = containerEnv(
      {
        name: 'c',
        image: 'i',
        env: [
          { name: 'A', value: '1' },
          { name: 'B', value: '$(A)-$(C)' },
          { name: 'C', value: '3' },
        ],
      },
      facts,
    );
    assert.deepEqual('env' in outcome && outcome.env, { A: '1', B: '1-$(C)', C: '3' });
  });
});

describe('expandVariables', () => {
  it('replaces known names, keeps unknown ones, and supports an escaped dollar', () => {
    assert.equal(expandVariables('$(A) $(B) $$(A) $A $', { A: 'x' }), 'x $(B) $(A) $A $');
  });
});
