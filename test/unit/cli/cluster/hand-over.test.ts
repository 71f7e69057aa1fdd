/** To whom the fields go that `undo` wrote, and what stays with the command line. */
import assert from 'node:assert/strict';
import { applierOf, handedOver } from '../../../../cli/cluster/hand-over.ts';
import type { ManagedFieldsEntry } from '../../../../kube/client/object.ts';

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

describe('the fields of an undo go', () => {
  // prettier-ignore
  const rows: readonly (readonly [sentence: string, entries: readonly ManagedFieldsEntry[],
    to: string | undefined])[] = [
    ['to whoever applies on the server, though somebody edited later', [pipeline, edit, cli], 'pipeline'],
    ['to the one that applied last, of two', [pipeline,
      entry('kustomize-controller', 'Apply', uri, { time: '2026-03-01T00:00:00Z' }), cli], 'kustomize-controller'],
    ["to the owner of kubectl's annotation, where nobody applies on the server",
      [edit, byAnnotation, cli], 'argocd-controller'],
    ['to the last writer of the spec, where there is neither', [entry('helm', 'Update', uri), cli], 'helm'],
    ['to nobody, where nobody else wrote the spec',
      [cli, entry('operator', 'Update', uri, { subresource: 'status' })], undefined],
    ['not to an autoscaler, nor to one who only pauses',
      [entry('hpa', 'Apply', { 'f:replicas': {} }),
      entry('person', 'Apply', { '.': {}, 'f:rollout': { 'f:paused': {} } }), cli], undefined],
  ];
  for (const [sentence, managedFields, to] of rows)
    it(sentence, () => assert.equal(applierOf({ managedFields })?.manager, to));

  it('beside what the heir has, while intents stay with the command line', () => {
    assert.deepEqual(handedOver({ managedFields: [pipeline, cli] }, pipeline), [
      { ...pipeline, fieldsV1: { 'f:spec': { ...uri, 'f:execution': { 'f:workers': {} } } } },
      { ...cli, fieldsV1: { 'f:spec': { 'f:rollout': { 'f:paused': {} } } } },
    ]);
  });
  it('to an heir that lost its last field to the command line, too', () => {
    const all = entry('onnx-cli', 'Update', uri);
    assert.deepEqual(handedOver({ managedFields: [all] }, pipeline), [pipeline]);
  });
  it('nowhere when there are only intents', () =>
    assert.equal(
      handedOver(
        { managedFields: [pipeline, entry('onnx-cli', 'Update', { 'f:rollout': { 'f:paused': {} } })] },
        pipeline,
      ),
      undefined,
    ));
});
