/**
 * OnnxModel as a CustomResourceDefinition and as TypeScript types, both made from the same schema.
 *
 * Owns: the CRD (crds/ is generated from it), the rules over several parts of the spec, and the types of the object.
 */
import type { KubeObject, StoredMeta } from './kube-object.ts';
import { api } from './names.ts';
import { k, type Infer, type JsonSchema, type SchemaStage } from './schema/builder.ts';
import { revisionFields } from './schema/revision.ts';
import { rolloutFields } from './schema/rollout.ts';
import { statusSchema } from './schema/status.ts';

export const specSchema = k.object({ ...revisionFields, ...rolloutFields }).rule({
  rule:
    "!has(self.execution) || !has(self.execution.precision) || self.execution.precision in ['Source', 'Auto'] || " +
    '(has(self.model.variants) && self.model.variants.exists(v, v.precision == self.execution.precision))',
  message: 'model.variants must contain the file of execution.precision',
  messageExpression:
    "'model.variants has no file for execution.precision ' + self.execution.precision + ': add it to model.variants'",
  fieldPath: '.execution.precision',
});

const revisionSchema = k.object(revisionFields);

export type OnnxModelSpec = Infer<typeof specSchema>;
/** The hashed part of the spec, as written by the user. */
export type RevisionSpec = Infer<typeof revisionSchema>;
export type OnnxModelStatus = Infer<typeof statusSchema>;
export type RevisionStatus = NonNullable<OnnxModelStatus['stable']>;
export type FailingPod = NonNullable<RevisionStatus['pods']>[number];
export type RolloutOutcome = NonNullable<OnnxModelStatus['history']>[number];

export type OnnxModel = KubeObject<StoredMeta & { readonly namespace: string; readonly generation: number }> & {
  readonly apiVersion: typeof api.groupVersion;
  readonly kind: typeof api.kind;
  readonly spec: OnnxModelSpec;
  readonly status?: OnnxModelStatus;
};

/** Names of the spec's fields that are part of a revision, in the order of the reference. */
export const revisionFieldNames = Object.keys(revisionFields) as readonly (keyof RevisionSpec)[];

const namePattern = '^[a-z]([-a-z0-9]*[a-z0-9])?$';

/**
 * The schema of an OnnxModel.
 * @param stage `whole` includes planned fields; it is only for tests against a real API server and is never shipped
 */
export function openApiSchema(stage: SchemaStage): JsonSchema {
  return {
    type: 'object',
    description: 'An ONNX model that is served, and how a new revision of it gets traffic.',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: { ...specSchema.json(stage), description: 'What should be served, and how.' },
      status: {
        ...statusSchema.json(stage),
        description: 'What the operator observed and decided. Only the operator writes it.',
      },
    },
    'x-kubernetes-validations': [
      {
        rule: `self.metadata.name.size() <= 40 && self.metadata.name.matches('${namePattern}')`,
        message:
          'metadata.name must be at most 40 lower-case letters, digits or "-", must start with a letter, and must ' +
          'not end with "-"',
      },
      {
        // Check the name only on creation, so that a model from before this rule can still be updated.
        rule: "oldSelf.hasValue() || !self.metadata.name.matches('-[0-9a-f]{10}$')",
        message:
          'metadata.name must not end in "-" and ten hex digits: such names are reserved for the children of ' +
          'revisions',
        optionalOldSelf: true,
      },
    ],
  };
}

const columns = [
  { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
  { name: 'Phase', type: 'string', jsonPath: '.status.phase' },
  { name: 'Stable', type: 'string', jsonPath: '.status.stable.revision' },
  { name: 'Candidate', type: 'string', jsonPath: '.status.candidate.revision' },
  { name: 'Provider', type: 'string', jsonPath: '.status.stable.provider' },
  { name: 'Replicas', type: 'string', jsonPath: '.status.ready' },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  { name: 'Precision', type: 'string', jsonPath: '.status.stable.precision', priority: 1 },
  { name: 'URL', type: 'string', jsonPath: '.status.address.url', priority: 1 },
  { name: 'Message', type: 'string', jsonPath: '.status.message', priority: 1 },
] as const;

/** The CustomResourceDefinition. */
export function customResourceDefinition(stage: SchemaStage) {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${api.plural}.${api.group}` },
    spec: {
      group: api.group,
      scope: 'Namespaced',
      names: {
        kind: api.kind,
        listKind: `${api.kind}List`,
        plural: api.plural,
        singular: api.singular,
        shortNames: [api.shortName],
        categories: ['onnx'],
      },
      versions: [
        {
          name: api.version,
          served: true,
          storage: true,
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.replicas',
              statusReplicasPath: '.status.replicas',
              labelSelectorPath: '.status.selector',
            },
          },
          additionalPrinterColumns: columns,
          schema: { openAPIV3Schema: openApiSchema(stage) },
        },
      ],
    },
  };
}
