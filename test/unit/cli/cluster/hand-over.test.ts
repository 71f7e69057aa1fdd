/** Which field manager gets the fields that `kubectl-onnx undo` wrote, and which fields stay with kubectl-onnx. */
import assert from 'node:assert/strict';
import { applierOf, handedOver } from '../../../../cli/cluster/hand-over.ts';
import type { ManagedFieldsEntry } from '../../../../api/kube-object.ts';

const entry = (
  manager: string,
  operation: 'Apply' | 'Update',
  spec: object,
  more: object = {},
): ManagedFieldsEntry => ({
  manager,
  operation,
  apiVersion: 'onnx-operator.dev/v1alpha1',
  fieldsType: 'FieldsV1',
  time: '2026-01-01T00:00:00Z',
  fieldsV1: { 'f:spec': spec },
  ...more,
});
const uri = { 'f:model': { 'f:uri': {} } };
const pipeline = entry('pipeline', 'Apply', uri);
const edit = entry('kubectl-edit', 'Update', uri, { time: '2026-02-01T00:00:00Z' });
const byAnnotation = entry(
  'argocd-controller',
  'Update',
  {},
  {
    fieldsV1: {
      'f:metadata': { 'f:annotations': { 'f:kubectl.kubernetes.io/last-applied-configuration': {} } },
      'f:spec': uri,
    },
  },
);
const cli = entry('onnx-cli', 'Update', { 'f:execution': { 'f:workers': {} }, 'f:rollout': { 'f:paused': {} } });

describe('the fields of an undo are given', () => {
  // prettier-ignore
  const rows: readonly (readonly [sentence: string, entries: readonly ManagedFieldsEntry[],
    to: string | undefined])[] = [
    ['to the server-side applier, although a user edited later', [pipeline, edit, cli], 'pipeline'],
    ['to the latest of two server-side appliers', [pipeline,
      entry('kustomize-controller', 'Apply', uri, { time: '2026-03-01T00:00:00Z' }), cli], 'kustomize-controller'],
    ["to the owner of kubectl's annotation, without a server-side apply",
      [edit, byAnnotation, cli], 'argocd-controller'],
    ['to the last writer of the spec, without a server-side apply or an annotation',
      [entry('helm', 'Update', uri), cli], 'helm'],
    ['to no manager, when the command line alone wrote the spec',
      [cli, entry('operator', 'Update', uri, { subresource: 'status' })], undefined],
    ['not to an autoscaler, and not to a user who only pauses',
      [entry('hpa', 'Apply', { 'f:replicas': {} }),
      entry('person', 'Apply', { '.': {}, 'f:rollout': { 'f:paused': {} } }), cli], undefined],
  ];
  for (const [sentence, managedFields, to] of rows)
    it(sentence, () => assert.equal(applierOf({ managedFields })?.manager, to));

  it('in addition to its own fields, while the command line keeps intents', () => {
    assert.deepEqual(handedOver({ managedFields: [pipeline, cli] }, pipeline), [
      { ...pipeline, fieldsV1: { 'f:spec': { ...uri, 'f:execution': { 'f:workers': {} } } } },
      { ...cli, fieldsV1: { 'f:spec': { 'f:rollout': { 'f:paused': {} } } } },
    ]);
  });
  it('to a manager whose last field the command line took over', () => {
    const all = entry('onnx-cli', 'Update', uri);
    assert.deepEqual(handedOver({ managedFields: [all] }, pipeline), [pipeline]);
  });
  it('to no manager when the command line owns only intents', () =>
    assert.equal(
      handedOver(
        { managedFields: [pipeline, entry('onnx-cli', 'Update', { 'f:rollout': { 'f:paused': {} } })] },
        pipeline,
      ),
      undefined,
    ));
});
