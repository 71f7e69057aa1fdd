/**
 * What inspection finds out about a model without loading it.
 *
 * Owns: the type that the rest of the runtime uses for decisions, and the hash that shows whether two revisions have
 *       the same inputs and outputs. The type is plain data: `prepare` stores it as JSON in prepared.json.
 * Pure.
 */
import { createHash } from 'node:crypto';
import type { ServableType } from './element-type.ts';

/** A fixed size, or the name of a dimension whose size each request may choose, or '' if that dimension has no name. */
export type Dim = number | string;

/** Without `dims` the rank is unknown; empty `dims` mean a scalar. (ONNX Runtime's binding reports [] for both.) */
export type TensorInfo = { readonly name: string; readonly type: ServableType; readonly dims?: readonly Dim[] };

export type OtherKind = 'sequence' | 'map' | 'optional' | 'sparse tensor' | 'opaque' | 'untyped';

/**
 * A file next to the model that holds weights. `path` is the path that the model contains, relative to the model's
 * folder. `aligned`: every weight in the file begins at a multiple of 64 bytes, so that all kernels can read it from
 * the memory map.
 */
export type ExternalFile = { readonly path: string; readonly bytes: number; readonly aligned: boolean };

/**
 * Whether rows of one run can influence each other (rows/independence.ts). A row is everything at one index of the
 * first dimension of the inputs; a run may contain rows of several requests. `because`: the reason, as a sentence.
 */
export type RowsVerdict = { readonly independent: true } | { readonly independent: false; readonly because: string };

export type ModelInfo = {
  readonly irVersion: number;
  /** Version of the ai.onnx operator set; 0 when the model does not use it. */
  readonly opset: number;
  /** The version of every operator set by domain, including ai.onnx. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly producer: { readonly name: string; readonly version: string };
  readonly graphName: string;
  /** The first 1024 entries of metadata_props, without entries longer than 64 KiB. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The inputs that a request must send: all inputs of the graph except inputs that have a constant value. */
  readonly inputs: readonly TensorInfo[];
  /** The outputs that are tensors. */
  readonly outputs: readonly TensorInfo[];
  /** The outputs that are not tensors. They are never fetched. */
  readonly otherOutputs: readonly { readonly name: string; readonly kind: OtherKind }[];
  readonly externalFiles: readonly ExternalFile[];
  /** Number of nodes, including subgraphs. */
  readonly nodes: number;
  /** Number of nodes per operator; operators of other domains are written `domain.Op`. */
  readonly operators: Readonly<Record<string, number>>;
  /** Bytes of constant tensors in memory: initializers and the values of Constant nodes, including external data. */
  readonly weightsBytes: number;
  /** Whether rows are independent of each other, derived from the graph. Unclear cases count as dependent. */
  readonly rows: RowsVerdict;
  /** Size of the .onnx file without external data. */
  readonly fileBytes: number;
};

/**
 * Lists the outputs that answers cannot carry, for messages: `'scores' (sequence)`. An empty text if there are none.
 */
export function leftOutOf({ otherOutputs }: Pick<ModelInfo, 'otherOutputs'>): string {
  return otherOutputs.map(({ name, kind }) => `'${name}' (${kind})`).join(', ');
}

/**
 * Hashes what callers of the model depend on: names, element types and shapes of inputs and outputs.
 *
 * Order counts (clients may address outputs by position), and so do the names of symbolic dimensions (padding uses
 * them). Weights and operators do not count.
 *
 * @returns 64 hex digits
 */
export function signatureHash(info: Pick<ModelInfo, 'inputs' | 'outputs'>): string {
  const row = (tensor: TensorInfo): unknown[] => [tensor.name, tensor.type, tensor.dims ?? null];
  return createHash('sha256')
    .update(JSON.stringify([info.inputs.map(row), info.outputs.map(row)]))
    .digest('hex');
}
