/** Drift: when an object in the cluster differs from what the operator wants, so that the operator writes it. */
import assert from 'node:assert/strict';
import { isApplied, stamped } from '../../../../operator/reconcile/drift.ts';
import type { KubeObject } from '../../../../api/kube-object.ts';
import type { Manifest } from '../../../../operator/resources/objects.ts';

const wanted = stamped({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd', namespace: 'n', labels: { a: 'b' }, ownerReferences: [] },
  spec: {
    replicas: 2,
    template: {
      spec: {
        tolerations: [],
        hostNetwork: false,
        affinity: { nodeAffinity: null },
        nodeSelector: { disk: 'ssd' },
        containers: [
          {
            name: 'c',
            args: ['run'],
            env: [{ name: 'SIZE', value: '4194304' }],
            resources: { limits: { cpu: '1000m', memory: '1024Mi' } },
          },
        ],
      },
    },
  },
} as Manifest);

// eslint-disable-next-line typescript/no-explicit-any -- tests change any field
type Live = any;
const copy = (change: (live: Live) => void): KubeObject => {
  const live = structuredClone(wanted) as unknown as KubeObject;
  change(live);
  return live;
};

// prettier-ignore
const rows: readonly { name: string; live: KubeObject | undefined; want: boolean }[] = [
  { name: 'is missing', live: undefined, want: false },
  { name: 'is the same', live: copy(() => {}), want: true },
  { name: 'also has defaults of the server',
    live: copy((o: Live) => { o.spec.template.spec.containers[0].imagePullPolicy = 'Always';
      o.status = {}; }), want: true },
  { name: 'has quantities in the form of the server',
    live: copy((o: Live) => { o.spec.template.spec.containers[0].resources.limits = {
      cpu: '1', memory: '1Gi' }; }), want: true },
  { name: 'lacks a field that was wanted empty',
    live: copy((o: Live) => { delete o.spec.template.spec.tolerations; }), want: true },
  { name: 'was scaled by another writer', live: copy((o: Live) => { o.spec.replicas = 5; }), want: false },
  { name: 'has a container of another writer',
    live: copy((o: Live) => { o.spec.template.spec.containers.unshift({ name: 'x' }); }), want: true },
  { name: 'lacks a container', live: copy((o: Live) => { o.spec.template.spec.containers = [
      { name: 'x' }]; }), want: false },
  { name: 'has an additional key in an atomic map',
    live: copy((o: Live) => { o.spec.template.spec.nodeSelector.team = 'x'; }), want: false },
  { name: 'has an additional key in a merged map',
    live: copy((o: Live) => { o.metadata.labels.team = 'x'; }), want: true },
  { name: 'has an additional argument', live: copy(
      (o: Live) => { o.spec.template.spec.containers[0].args.push('--x'); }), want: false },
  { name: 'lacks a field that was wanted null or false',
    live: copy((o: Live) => { delete o.spec.template.spec.hostNetwork;
      delete o.spec.template.spec.affinity; }), want: true },
  { name: 'has a field that was wanted false',
    live: copy((o: Live) => { o.spec.template.spec.hostNetwork = true; }), want: false },
  { name: 'has a variable with the same number written differently',
    live: copy((o: Live) => { o.spec.template.spec.containers[0].env[0].value = '4Mi'; }), want: false },
  { name: 'was applied by another version with an additional field',
    live: copy((o: Live) => { o.metadata.annotations['onnx-operator.dev/applied'] = 'other'; }), want: false },
  { name: 'is terminating and held by a finalizer',
    live: copy((o: Live) => { o.metadata.deletionTimestamp = '2026-01-01T00:00:00Z'; }), want: true },
];

describe('isApplied', () => {
  it('accepts the answer of the API server to the last apply', () => {
    const answered = copy((o: Live) => {
      o.spec.template.spec.containers[0].resources.limits.cpu = '1001m';
    });
    assert.equal(isApplied(wanted, answered), false);
    assert.equal(isApplied(wanted, answered, answered), true);
    const changed = structuredClone(answered) as Live;
    changed.spec.template.spec.containers[0].resources.limits.cpu = '2';
    assert.equal(isApplied(wanted, changed as KubeObject, answered), false);
  });

  const rounding: readonly (readonly [asked: string | number, live: string | number, same: boolean])[] = [
    ['1.0005', '1001m', true],
    ['1.0005', '1002m', false],
    ['1.0005', '1', false],
    ['100u', '1m', true],
    ['100u', '2m', false],
    ['64.123456789123456Mi', '67238317827m', true],
    ['64.123456789123456Mi', '67238317838m', false],
    ['0.3Gi', '322122547200m', true],
    ['1E9', '1G', true],
    ['50m', '77m', false],
    ['256Mi', '64Mi', false],
    [1073741824, '1Gi', true],
    ['1000m', '1001m', false],
  ];
  for (const [asked, live, same] of rounding) {
    it(`${same ? 'accepts' : 'does not accept'} ${live} for ${asked}`, () => {
      const limits = (cpu: string | number): Manifest =>
        ({
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'p', namespace: 'n', labels: {}, ownerReferences: [] },
          spec: { containers: [{ name: 'c', resources: { limits: { cpu } } }] },
        }) as Manifest;
      assert.equal(isApplied(limits(asked), limits(live) as unknown as KubeObject), same);
    });
  }

  for (const { name, live, want } of rows)
    it(`is ${want} when the live object ${name}`, () => assert.equal(isApplied(wanted, live), want));
});
