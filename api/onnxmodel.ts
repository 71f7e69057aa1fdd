/**
 * OnnxModel as a CustomResourceDefinition and as TypeScript types: both from the same schema.
 *
 * Owns:  the CRD object (crds/ is generated from it), the cross-field rules and the types everybody uses.
 */
import { api } from './names.ts';
import { k, type Infer, type JsonSchema, type SchemaStage } from './schema/builder.ts';
import { revisionFields } from './schema/revision.ts';
import { rolloutFields } from './schema/rollout.ts';
import { statusSchema } from './schema/status.ts';

export const specSchema = k.object({ ...revisionFields, ...rolloutFields }).rule({
  rule:
    "!has(self.execution) || !has(self.execution.precision) || self.execution.precision in ['Source', 'Auto'] || " +
    '(has(self.model.variants) && self.model.variants.exists(v, v.precision == self.execution.precision))',
  message: 'execution.precision names no variant: list the file of that precision in model.variants',
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

export type OnnxModel = {
  readonly apiVersion: typeof api.groupVersion;
  readonly kind: typeof api.kind;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly generation: number;
    readonly creationTimestamp: string;
    readonly deletionTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    /** Who writes which fields, as the server keeps it. */
    readonly managedFields?: readonly {
      readonly manager?: string;
      readonly operation?: string;
      readonly fieldsV1?: unknown;
    }[];
  };
  readonly spec: OnnxModelSpec;
  readonly status?: OnnxModelStatus;
};

/** Names of the spec's fields that make a revision, in the order of the reference. */
export const revisionFieldNames = Object.keys(revisionFields) as readonly (keyof RevisionSpec)[];

const namePattern = '^[a-z]([-a-z0-9]*[a-z0-9])?$';

/**
 * The object's schema. @param stage `whole` has planned fields too: for tests against a real API server, never to be
 * shipped
 */
export function openApiSchema(stage: SchemaStage): JsonSchema {
  return {
    type: 'object',
    description: 'An ONNX model that is served, and how a change of it earns its traffic.',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: { ...specSchema.json(stage), description: 'What should be served, and how.' },
      status: { ...statusSchema.json(stage), description: 'What the operator sees and does. It alone writes it.' },
    },
    'x-kubernetes-validations': [
      {
        rule: `self.metadata.name.size() <= 40 && self.metadata.name.matches('${namePattern}')`,
        message: 'metadata.name has at most 40 characters: small letters, digits and "-", beginning with a letter',
      },
      {
        // Only on creation: a model of an earlier time keeps its name.
        rule: "oldSelf.hasValue() || !self.metadata.name.matches('-[0-9a-f]{10}$')",
        message:
          'metadata.name may not end in "-" and ten hex digits: the children of a revision of another model are ' +
          'named so',
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

/** The whole CustomResourceDefinition. */
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
