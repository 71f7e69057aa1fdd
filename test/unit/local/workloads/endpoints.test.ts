import assert from 'node:assert/strict';
import type { StoredPod } from '../../../../local/kubelet/pod.ts';
import { planSlices } from '../../../../local/workloads/endpoints.ts';
import type { StoredService } from '../../../../local/workloads/resources.ts';

const at = '2026-01-01T00:00:00Z';
const defaults = {
  ready: true,
  leaving: false,
  ip: '127.64.0.1',
  labels: { app: 'web' },
  phase: 'Running' as 'Running' | 'Failed',
  containerPort: 8080,
};
type PodParts = Partial<Omit<typeof defaults, 'labels' | 'ip'>> & {
  readonly labels?: Record<string, string>;
  readonly ip?: string | undefined;
};

function pod(name: string, parts: PodParts = {}): StoredPod {
  const { ready, leaving, labels, phase, containerPort, ip } = { ...defaults, ...parts };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      resourceVersion: '1',
      creationTimestamp: at,
      labels,
      ...(leaving ? { deletionTimestamp: at } : {}),
    },
    spec: { containers: [{ name: 'c', image: 'i', ports: [{ name: 'http', containerPort }] }], nodeName: 'local' },
    status: {
      phase,
      ...(ip === undefined ? {} : { podIP: ip }),
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastProbeTime: null, lastTransitionTime: at }],
    },
  };
}

const service = (spec: Partial<StoredService['spec']> = {}): StoredService => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {
    name: 'web',
    namespace: 'default',
    uid: 's',
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }], ...spec },
});

describe('planSlices', () => {
  const rows: readonly {
    name: string;
    pods: readonly StoredPod[];
    spec?: Partial<StoredService['spec']>;
    want: readonly (readonly [string, boolean, boolean, boolean])[];
  }[] = [
    { name: 'has a ready pod as ready and serving', pods: [pod('a')], want: [['a', true, true, false]] },
    { name: 'has an unready pod as neither', pods: [pod('a', { ready: false })], want: [['a', false, false, false]] },
    {
      name: 'has a terminating pod as serving while its readiness probe passes',
      pods: [pod('a', { leaving: true })],
      want: [['a', false, true, true]],
    },
    {
      name: 'publishes unready pods when the Service asks for it',
      pods: [pod('a', { ready: false })],
      spec: { publishNotReadyAddresses: true },
      want: [['a', true, false, false]],
    },
    { name: 'leaves out pods without an address', pods: [pod('a', { ip: undefined })], want: [] },
    { name: 'leaves out pods that have ended', pods: [pod('a', { phase: 'Failed' })], want: [] },
    { name: 'leaves out pods with other labels', pods: [pod('a', { labels: { app: 'db' } })], want: [] },
  ];
  for (const { name, pods, spec, want } of rows) {
    it(name, () => {
      const seen = planSlices(service(spec), pods).flatMap((slice) =>
        slice.endpoints.map(({ targetRef, conditions }) => [
          targetRef?.name,
          conditions.ready,
          conditions.serving,
          conditions.terminating,
        ]),
      );
      assert.deepEqual(seen, want);
    });
  }

  it('finds a named port in each pod, with a slice for each port number', () => {
    const slices = planSlices(service(), [pod('a'), pod('b', { containerPort: 9090 }), pod('c')]);
    assert.deepEqual(
      slices.map((slice) => [slice.ports[0]?.port, slice.endpoints.length]),
      [
        [8080, 2],
        [9090, 1],
      ],
    );
  });

  it('uses the Service port when there is no target port', () => {
    assert.equal(planSlices(service({ ports: [{ port: 80 }] }), [pod('a')])[0]?.ports[0]?.port, 80);
  });
});
