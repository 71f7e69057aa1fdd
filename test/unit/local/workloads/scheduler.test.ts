import assert from 'node:assert/strict';
import type { StoredPod, PodSpec } from '../../../../local/kubelet/pod.ts';
import { planPlacement, podRequests, type PlacementFacts } from '../../../../local/workloads/scheduler.ts';

const pod = (spec: Partial<PodSpec>): StoredPod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', uid: 'p', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: { containers: [], ...spec },
});
const asking = (cpu: string, memory = '1Mi'): PodSpec['containers'][number] => ({
  name: 'c',
  image: 'i',
  resources: { requests: { cpu, memory } },
});
const empty: PlacementFacts = {
  nodeLabels: { 'kubernetes.io/os': 'linux' },
  cordoned: false,
  allocatable: { cpu: 2, memory: 2 ** 30, pods: 110 },
  used: {},
  claimExists: () => false,
};

describe('planPlacement', () => {
  // prettier-ignore
  const rows: readonly { name: string; spec: Partial<PodSpec>;
    facts?: Partial<PlacementFacts>; want: RegExp | undefined }[] = [
    { name: 'accepts a pod that fits', spec: { containers: [asking('2')] }, want: undefined },
    { name: 'accepts a pod without requests', spec: { containers: [{ name: 'c', image: 'i' }] },
      facts: { used: { cpu: 2 } }, want: undefined },
    { name: 'names the insufficient resources', spec: { containers: [asking('3', '2Gi')] },
      want:
        new RegExp(String.raw`^0\/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory\. preemption: ` +
          String.raw`0\/1 nodes are available: 1 No preemption victims found for incoming pod\.$`) },
    { name: 'counts the requests of other pods', spec: { containers: [asking('500m')] },
      facts: { used: { cpu: 1.6 } }, want: /1 Insufficient cpu\./ },
    { name: 'fills the node to the last millicore', spec: { containers: [asking('300m')] },
      facts: { used: { cpu: 1.7 } }, want: undefined },
    { name: 'refuses a resource that the node does not have',
      spec: { containers: [{ name: 'c', image: 'i', resources: { limits: { 'nvidia.com/gpu': '1' } } }] },
      want: /1 Insufficient nvidia\.com\/gpu\./ },
    { name: 'refuses a pod beyond the maximum', spec: {}, facts: { used: { pods: 110 } }, want: /1 Too many pods\./ },
    { name: 'schedules nothing on a cordoned node', spec: {}, facts: { cordoned: true },
      want:
        new RegExp(String.raw`^0\/1 nodes are available: 1 node\(s\) were unschedulable\. preemption: 0\/1 nodes ` +
          String.raw`are available: 1 Preemption is not helpful for scheduling\.$`) },
    { name: 'refuses a node selector that does not match', spec: { nodeSelector: { pool: 'gpu' } },
      want: /1 node\(s\) didn't match Pod's node affinity\/selector/ },
    { name: 'accepts a node selector that matches',
      spec: { nodeSelector: { 'kubernetes.io/os': 'linux' } }, want: undefined },
    { name: 'refuses a missing claim',
      spec: { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'models' } }] },
      want:
        new RegExp(String.raw`^0\/1 nodes are available: persistentvolumeclaim "models" not found\. preemption: ` +
          String.raw`0\/1 nodes are available: 1 Preemption is not helpful for scheduling\.$`) },
    { name: 'accepts an existing claim', spec: {
        volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'models' } }] },
      facts: { claimExists: (name) => name === 'models' }, want: undefined },
  ];
  for (const { name, spec, facts, want } of rows) {
    it(name, () => {
      const answer = planPlacement(pod(spec), { ...empty, ...facts });
      if (want === undefined) assert.equal(answer, undefined);
      else assert.match(answer ?? '', want);
    });
  }
});

describe('podRequests', () => {
  it('is the larger of initialisation and the main containers, with sidecars in both', () => {
    const inits = [{ ...asking('100m'), restartPolicy: 'Always' as const }, asking('1')];
    assert.equal(podRequests(pod({ initContainers: inits, containers: [asking('200m'), asking('300m')] }))['cpu'], 1.1);
  });

  it('uses a limit for an absent request', () => {
    assert.deepEqual(
      podRequests(pod({ containers: [{ name: 'c', image: 'i', resources: { limits: { memory: '2Ki' } } }] })),
      { memory: 2048 },
    );
  });
});
