/** Builders of objects. Each returns a healthy default with the overrides of a test. */
import { withDefaults } from '../../api/defaults.ts';
import type { OnnxModel, OnnxModelSpec } from '../../api/onnxmodel.ts';
import type { RevisionRecord } from '../../operator/resources/objects.ts';
import { revisionOf, revisionSpecOf } from '../../operator/see/revision.ts';

export const given = {
  spec: (more: Partial<OnnxModelSpec> = {}): OnnxModelSpec => ({
    model: { uri: 'https://models.example/ranker.onnx' },
    replicas: 2,
    ...more,
  }),

  model: (spec: Partial<OnnxModelSpec> = {}, more: Partial<OnnxModel> = {}): OnnxModel => ({
    apiVersion: 'onnx-operator.dev/v1alpha1',
    kind: 'OnnxModel',
    metadata: {
      name: 'ranker',
      namespace: 'ml',
      uid: '11111111-2222-3333-4444-555555555555',
      resourceVersion: '7',
      generation: 3,
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: given.spec(spec),
    ...more,
  }),

  record: (model: OnnxModel, more: Partial<RevisionRecord> = {}): RevisionRecord => ({
    revision: revisionOf(model.spec),
    generation: model.metadata.generation,
    written: revisionSpecOf(model.spec),
    spec: withDefaults(revisionSpecOf(model.spec), 'onnx-operator/runtime:1.2.3'),
    ...more,
  }),
} as const;
