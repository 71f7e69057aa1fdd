/**
 * What is known of a model without loading it: the words of inspection.
 *
 * Owns: the type that the rest of the runtime decides by, and the signature that tells whether two
 *       revisions can be asked the same question. Plain data: it is stored as JSON beside the model.
 * Pure.
 */
import { createHash } from 'node:crypto';
import type { ServableType } from './element-type.ts';

/** A size, the name of a dimension that each request chooses, or '' for one without a name. */
export type Dim = number | string;

/** Without `dims` the rank is not known; empty ones are a scalar's. (ONNX Runtime's binding shows both as [].) */
export type TensorInfo = { readonly name: string; readonly type: ServableType; readonly dims?: readonly Dim[] };

export type OtherKind = 'sequence' | 'map' | 'optional' | 'sparse tensor' | 'opaque' | 'untyped';

/**
 * A file beside the model that holds weights; `path` as the model writes it, below the model's folder. `aligned`: every
 * weight in it begins at a multiple of 64 bytes, so that any kernel may read it where it is mapped.
 */
export type ExternalFile = { readonly path: string; readonly bytes: number; readonly aligned: boolean };

/** Whether rows of one run can influence each other (rows/independence.ts). `because`: a sentence for people. */
export type RowsVerdict = { readonly independent: true } | { readonly independent: false; readonly because: string };

export type ModelInfo = {
  readonly irVersion: number;
  /** Version of the ai.onnx operator set; 0 when the model uses none of it. */
  readonly opset: number;
  /** Every operator set by domain, ai.onnx included. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly producer: { readonly name: string; readonly version: string };
  readonly graphName: string;
  /** metadata_props, those that are not longer than 64 KiB. */
  readonly metadata: Readonly<Record<string, string>>;
  /** What a request has to bring: the graph's inputs without those that have a constant value. */
  readonly inputs: readonly TensorInfo[];
  /** Those that are tensors. */
  readonly outputs: readonly TensorInfo[];
  /** Outputs that are no tensors: they are never asked for. */
  readonly otherOutputs: readonly { readonly name: string; readonly kind: OtherKind }[];
  readonly externalFiles: readonly ExternalFile[];
  /** Nodes, those of subgraphs included. */
  readonly nodes: number;
  /** How many nodes each operator has; another domain's are written `domain.Op`. */
  readonly operators: Readonly<Record<string, number>>;
  /** Constant tensors as they lie in memory: initializers and the values of Constant nodes, external data included. */
  readonly weightsBytes: number;
  /** Told from the graph; what cannot be told counts as dependent. */
  readonly rows: RowsVerdict;
  /** Size of the .onnx file alone. */
  readonly fileBytes: number;
};

/** The outputs that no answer carries, for people: `'scores' (sequence)`. Empty when there are none. */
export function leftOutOf({ otherOutputs }: Pick<ModelInfo, 'otherOutputs'>): string {
  return otherOutputs.map(({ name, kind }) => `'${name}' (${kind})`).join(', ');
}

/**
 * Names what a caller of the model relies on: names, element types and shapes of inputs and outputs.
 *
 * Order counts (clients may address outputs by position), names of symbolic dimensions count (padding goes by
 * them), weights and operators do not.
 *
 * @returns 64 hex digits
 */
export function signatureOf(info: Pick<ModelInfo, 'inputs' | 'outputs'>): string {
  const row = (tensor: TensorInfo): unknown[] => [tensor.name, tensor.type, tensor.dims ?? null];
  return createHash('sha256')
    .update(JSON.stringify([info.inputs.map(row), info.outputs.map(row)]))
    .digest('hex');
}
