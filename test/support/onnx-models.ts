/**
 * Small ONNX models, made in memory, for all tests.
 * Owns: the models; the comment of each says what it computes. The bytes are the same at every call.
 * Use: `await writeModel(folder, matmul())` returns a path; `modelBytes(matmul())` returns the bytes.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { encodeModel, weight, type Graph, type Model } from '../../runtime/onnx/build.ts';
import type { ElementType } from '../../runtime/onnx/element-type.ts';

/**
 * Writes the model into the folder, which is created if needed.
 * @returns the file's path
 */
export async function writeModel(folder: string, model: Model, name = 'model.onnx'): Promise<string> {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, encodeModel(model));
  return path;
}

/** x[batch, 4] → y[batch, 4], the same values. `type` is any element type, for example `identity('int64')`. */
export function identity(type: ElementType = 'float32', shape: readonly (number | string)[] = ['batch', 4]): Model {
  return {
    opset: 17,
    graph: {
      name: 'identity',
      nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
      inputs: [{ name: 'x', type, shape }],
      outputs: [{ name: 'y', type, shape }],
    },
  };
}

/** a[batch, 3] + b[batch, 3] → sum[batch, 3], float32: two inputs. */
export function add(): Model {
  const shape = ['batch', 3];
  return {
    opset: 17,
    producer: { name: 'onnx-models', version: '1' },
    metadata: { purpose: 'tests' },
    graph: {
      name: 'add',
      nodes: [{ op: 'Add', name: 'the-add', inputs: ['a', 'b'], outputs: ['sum'] }],
      inputs: [
        { name: 'a', type: 'float32', shape },
        { name: 'b', type: 'float32', shape },
      ],
      outputs: [{ name: 'sum', type: 'float32', shape }],
    },
  };
}

/**
 * x[batch, new] and past[batch, length] → present[batch, length + new] = past, then x; sum[batch, 1] = the sum of
 * present. `present` is the `past` of the next step, and grows as a cache of keys and values does.
 */
export function accumulator(): Model {
  return {
    opset: 17,
    graph: {
      name: 'accumulator',
      nodes: [
        { op: 'Concat', inputs: ['past', 'x'], outputs: ['present'], attributes: { axis: { int: 1 } } },
        { op: 'ReduceSum', inputs: ['present', 'axes'], outputs: ['sum'] },
      ],
      inputs: [
        { name: 'x', type: 'float32', shape: ['batch', 'new'] },
        { name: 'past', type: 'float32', shape: ['batch', 'length'] },
      ],
      outputs: [
        { name: 'present', type: 'float32', shape: ['batch', 'length + new'] },
        { name: 'sum', type: 'float32', shape: ['batch', 1] },
      ],
      weights: [weight('axes', 'int64', [1], BigInt64Array.of(1n))],
    },
  };
}

/**
 * One layer of attention with a cache: `heads` heads of queries that share one head of keys and values. query[batch,
 * new, heads · size], key and value[batch, new, size], past and present of keys and values[batch, 1, context, size],
 * seqlens_k int32[batch] (positions in use of each row after the run, minus 1), total_sequence_length int32 (positions
 * of the longest row after the run) → output[batch, new, heads · size].
 */
export function cachedAttention(heads = 2, size = 8): Model {
  const rows = (width: number): readonly (number | string)[] => ['batch', 'new', width];
  const cache = ['batch', 1, 'context', size];
  return {
    opset: 17,
    domains: { 'com.microsoft': 1 },
    graph: {
      name: 'cached-attention',
      nodes: [
        {
          op: 'GroupQueryAttention',
          domain: 'com.microsoft',
          inputs: ['query', 'key', 'value', 'past_key', 'past_value', 'seqlens_k', 'total_sequence_length'],
          outputs: ['output', 'present_key', 'present_value'],
          attributes: { num_heads: { int: heads }, kv_num_heads: { int: 1 } },
        },
      ],
      inputs: [
        { name: 'query', type: 'float32', shape: rows(heads * size) },
        { name: 'key', type: 'float32', shape: rows(size) },
        { name: 'value', type: 'float32', shape: rows(size) },
        { name: 'past_key', type: 'float32', shape: cache },
        { name: 'past_value', type: 'float32', shape: cache },
        { name: 'seqlens_k', type: 'int32', shape: ['batch'] },
        { name: 'total_sequence_length', type: 'int32', shape: [] },
      ],
      outputs: [
        { name: 'output', type: 'float32', shape: rows(heads * size) },
        { name: 'present_key', type: 'float32', shape: cache },
        { name: 'present_value', type: 'float32', shape: cache },
      ],
    },
  };
}

/** x[batch, 4] · W[4, 2] → y[batch, 2] with W = [[1,0],[0,1],[1,1],[2,-1]]: y = [x0+x2+2x3, x1+x2-x3]. */
export function matmul(scale = 1): Model {
  const values = Float32Array.from([1, 0, 0, 1, 1, 1, 2, -1], (value) => value * scale);
  return {
    opset: 17,
    graph: {
      name: 'matmul',
      nodes: [{ op: 'MatMul', inputs: ['x', 'W'], outputs: ['y'] }],
      inputs: [{ name: 'x', type: 'float32', shape: ['batch', 4] }],
      outputs: [{ name: 'y', type: 'float32', shape: ['batch', 2] }],
      weights: [weight('W', 'float32', [4, 2], values)],
    },
  };
}

/**
 * x[batch, height, width] → y[batch], the largest of -|x|. Intermediate results are as large as the input, and the
 * output is small.
 */
export function image(): Model {
  return {
    opset: 17,
    graph: {
      name: 'image',
      nodes: [
        { op: 'Abs', inputs: ['x'], outputs: ['a'] },
        { op: 'Neg', inputs: ['a'], outputs: ['n'] },
        {
          op: 'ReduceMax',
          inputs: ['n'],
          outputs: ['y'],
          attributes: { axes: { ints: [1, 2] }, keepdims: { int: 0 } },
        },
      ],
      inputs: [{ name: 'x', type: 'float32', shape: ['batch', 'height', 'width'] }],
      outputs: [{ name: 'y', type: 'float32', shape: ['batch'] }],
    },
  };
}

/**
 * x[batch, width] → y[batch, width] through `layers` MatMuls with one shared weight: slow on purpose. A row costs
 * layers · width² multiplications. The model slow(1000, 1024) has 4 MB and takes about 60 ms per row on one core. The
 * weight keeps the magnitude of the values, so that they become neither infinite nor denormal.
 */
export function slow(layers = 1000, width = 1024): Model {
  const name = (index: number): string => (index === 0 ? 'x' : index === layers ? 'y' : `h${index}`);
  return {
    opset: 17,
    graph: {
      name: 'slow',
      nodes: Array.from({ length: layers }, (_, index) => ({
        op: 'MatMul',
        inputs: [name(index), 'W'],
        outputs: [name(index + 1)],
      })),
      inputs: [{ name: 'x', type: 'float32', shape: ['batch', width] }],
      outputs: [{ name: 'y', type: 'float32', shape: ['batch', width] }],
      weights: [weight('W', 'float32', [width, width], noise(width * width, Math.sqrt(3 / width)))],
    },
  };
}

/**
 * x[batch, 8] → y[batch, 8] = x + tanh(x · A · factor) · B: a layer with a residual path. A `factor` other than 1 makes
 * a wrong model: it loads and its values are finite, but the direction of y is wrong on every machine.
 */
export function residual(factor = 1): Model {
  return {
    opset: 17,
    graph: {
      name: 'residual',
      nodes: [
        { op: 'MatMul', inputs: ['x', 'A'], outputs: ['hidden'] },
        { op: 'Tanh', inputs: ['hidden'], outputs: ['bent'] },
        { op: 'MatMul', inputs: ['bent', 'B'], outputs: ['added'] },
        { op: 'Add', inputs: ['x', 'added'], outputs: ['y'] },
      ],
      inputs: [{ name: 'x', type: 'float32', shape: ['batch', 8] }],
      outputs: [{ name: 'y', type: 'float32', shape: ['batch', 8] }],
      weights: [
        weight(
          'A',
          'float32',
          [8, 8],
          noise(64, 0.5).map((value) => value * factor),
        ),
        weight('B', 'float32', [8, 8], noise(64, 1).toReversed()),
      ],
    },
  };
}

/** x[batch, side] · W[side, side] with `megabytes` of float32 weights, for memory tests. */
export function heavy(megabytes = 64): Model {
  const side = Math.floor(Math.sqrt((megabytes * 2 ** 20) / 4));
  return {
    opset: 17,
    graph: {
      name: 'heavy',
      nodes: [{ op: 'MatMul', inputs: ['x', 'W'], outputs: ['y'] }],
      inputs: [{ name: 'x', type: 'float32', shape: ['batch', side] }],
      outputs: [{ name: 'y', type: 'float32', shape: ['batch', side] }],
      weights: [weight('W', 'float32', [side, side], noise(side * side, 1 / Math.sqrt(side)))],
    },
  };
}

/**
 * x[batch, 4] float32 → q[batch, 4] int4. ONNX Runtime's Node binding crashes on this type during a run, so the runtime
 * must refuse the model earlier.
 */
export function int4Output(): Model {
  return {
    opset: 21,
    irVersion: 10,
    graph: {
      name: 'int4-output',
      nodes: [{ op: 'Cast', inputs: ['x'], outputs: ['q'], attributes: { to: { int: 22 } } }],
      inputs: [{ name: 'x', type: 'float32', shape: ['batch', 4] }],
      outputs: [{ name: 'q', type: 'int4', shape: ['batch', 4] }],
    },
  };
}

/**
 * x[batch, 2] float32 → scores (a sequence of maps, as scikit-learn's exporter makes) as the only output. A server that
 * returns tensors cannot return it.
 */
export function zipMapOutput(): Model {
  return {
    opset: 17,
    domains: { 'ai.onnx.ml': 1 },
    graph: {
      name: 'zipmap',
      nodes: [zipMapNode],
      inputs: [{ name: 'x', type: 'float32', shape: ['batch', 2] }],
      outputs: [{ name: 'scores', sequenceOf: { key: 'int64', value: 'float32' } }],
    },
  };
}

const zipMapNode = {
  op: 'ZipMap',
  domain: 'ai.onnx.ml',
  inputs: ['x'],
  outputs: ['scores'],
  attributes: { classlabels_int64s: { ints: [0, 1] } },
} as const;

/** x[batch, 2] → doubled[batch, 2] (a tensor) and parts (a sequence). The model can be served with the tensor alone. */
export function tensorAndSequence(): Model {
  return {
    opset: 17,
    graph: {
      name: 'tensor-and-sequence',
      nodes: [
        { op: 'Add', inputs: ['x', 'x'], outputs: ['doubled'] },
        { op: 'SequenceConstruct', inputs: ['x', 'doubled'], outputs: ['parts'] },
      ],
      inputs: [{ name: 'x', type: 'float32', shape: ['batch', 2] }],
      outputs: [
        { name: 'doubled', type: 'float32', shape: ['batch', 2] },
        { name: 'parts', sequenceOf: 'float32' },
      ],
    },
  };
}

/** Values in [-scale, scale). Every call returns the same values. */
export function noise(count: number, scale: number): Float32Array {
  const values = new Float32Array(count);
  let state = 42;
  for (let index = 0; index < count; index += 1) {
    // Numerical Recipes' 32-bit linear congruential generator: good enough for arbitrary weights.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[index] = (state / 2 ** 31 - 1) * scale;
  }
  return values;
}

/**
 * n int64 scalar, x[batch, 4] → y[batch, 4]: x squared n times. Each squaring takes microseconds; with n = 2^63 - 1 a
 * run does not end. If `trips` is given, n is a weight with that value instead of an input.
 */
export function loop(trips?: bigint): Model {
  // prettier-ignore
  const body = {
    name: 'body',
    nodes: [{ op: 'Identity', inputs: ['go'], outputs: ['goOn'] },
      { op: 'Mul', inputs: ['v', 'v'], outputs: ['squared'] }],
    inputs: [{ name: 'i', type: 'int64', shape: [] },
      { name: 'go', type: 'bool', shape: [] }, { name: 'v', type: 'float32' }],
    outputs: [{ name: 'goOn', type: 'bool', shape: [] }, { name: 'squared', type: 'float32' }],
  } as const;
  return {
    opset: 17,
    // prettier-ignore
    graph: {
      name: 'loop',
      nodes: [{ op: 'Loop', inputs: ['n', '', 'x'], outputs: ['y'], attributes: { body: { graph: body } } }],
      inputs: [...(trips === undefined ? [{ name: 'n', type: 'int64', shape: [] } as const]
          : []), { name: 'x', type: 'float32', shape: ['batch', 4] }],
      outputs: [{ name: 'y', type: 'float32', shape: ['batch', 4] }],
      ...(trips === undefined ? {} : { weights: [weight('n', 'int64', [], BigInt64Array.of(trips))] }),
    },
  };
}

/**
 * x[batch, 4] → y[batch, 4] = x / 255 when any value of the run is above 1, else x: rows depend on each other, but
 * values of at most 1 do not show this.
 */
export function autoScale(): Model {
  const branch = (name: string, op: string, inputs: readonly string[]): { readonly graph: Graph } => ({
    graph: {
      name,
      nodes: [{ op, inputs, outputs: [`${name}Out`] }],
      inputs: [],
      outputs: [{ name: `${name}Out`, type: 'float32' }],
    },
  });
  return {
    opset: 17,
    graph: {
      name: 'auto-scale',
      // prettier-ignore
      nodes: [
        { op: 'ReduceMax', name: 'largest', inputs: ['x'], outputs: ['max'], attributes: { keepdims: { int: 0 } } },
        { op: 'Greater', inputs: ['max', 'one'], outputs: ['isLarge'] },
        { op: 'If', inputs: ['isLarge'], outputs: ['y'],
          attributes: { then_branch: branch('scaled', 'Div', ['x', 'range']),
            else_branch: branch('same', 'Identity', ['x']) } },
      ],
      inputs: [{ name: 'x', type: 'float32', shape: ['batch', 4] }],
      outputs: [{ name: 'y', type: 'float32', shape: ['batch', 4] }],
      weights: [weight('one', 'float32', [], Float32Array.of(1)), weight('range', 'float32', [], Float32Array.of(255))],
    },
  };
}
