/**
 * Which graphs may run several rows together, and the reason when a graph may not. A row is everything at one index of
 * the first dimension of the inputs; requests are batched by joining their rows.
 */
import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import {
  modelBytes,
  modelProto,
  weight,
  type Attribute,
  type Graph,
  type Model,
  type Node,
  type Weight,
} from '../../../../../runtime/onnx/build.ts';
import type { GraphBody, GraphFile } from '../../../../../runtime/onnx/graph.ts';
import { inspectBytes } from '../../../../../runtime/onnx/inspect.ts';
import { encodeProto } from '../../../../../runtime/onnx/encode.ts';
import { AttributeProto_AttributeType, FunctionProtoSchema } from '../../../../../runtime/onnx/proto/onnx_pb.ts';
import { rowsVerdict } from '../../../../../runtime/onnx/rows/independence.ts';
import { tinyEncoder } from '../../../../support/tiny-encoder.ts';

const floats = (name: string, dims: readonly number[]): Weight =>
  weight(name, 'float32', dims, new Float32Array(dims.reduce((product, dim) => product * dim, 1)));
const whole = (name: string, ...values: readonly number[]): Weight =>
  weight(name, 'int64', [values.length], BigInt64Array.from(values, BigInt));
const scalar = (name: string, value: number): Weight => weight(name, 'int64', [], BigInt64Array.of(BigInt(value)));
/** @param op the operator; with its domain as a prefix if it is not in the default domain: `com.microsoft.Gelu` */
const node = (
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>> = {},
): Node => {
  const at = op.lastIndexOf('.');
  return {
    op: op.slice(at + 1),
    domain: op.slice(0, Math.max(0, at)),
    inputs,
    outputs,
    attributes,
    name: `the-${op.slice(at + 1)}`,
  };
};
const int = (value: number): Attribute => ({ int: value });
const ints = (...values: readonly number[]): Attribute => ({ ints: values });

type Given = {
  readonly nodes: readonly Node[];
  readonly weights?: readonly Weight[];
  readonly shape?: readonly (number | string)[];
  readonly opset?: number;
};

/** A model x → y; the shape of x defaults to [batch, 3, 4]. */
function modelOf({ nodes, weights = [], shape = ['batch', 3, 4], opset = 17 }: Given): Model {
  return {
    opset,
    domains: { 'com.microsoft': 1, 'ai.onnx.ml': 3, mine: 1 },
    graph: {
      name: 'g',
      nodes,
      weights,
      inputs: [{ name: 'x', type: 'float32', shape }],
      outputs: [{ name: 'y', type: 'float32' }],
    },
  };
}

const verdictOf = (given: Given): string => {
  const { rows } = inspectBytes(modelBytes(modelOf(given)));
  return rows.independent ? 'independent' : rows.because;
};

const branch = (name: string, ...nodes: readonly Node[]): Attribute => ({
  graph: {
    name,
    nodes,
    inputs: [],
    outputs: [{ name: nodes.at(-1)?.outputs[0] ?? '', type: 'float32' }],
  } satisfies Graph,
});
/** Nodes that compute a shape from the first size of x and the given other sizes. */
const withRows = (
  ...others: readonly number[]
): { readonly nodes: readonly Node[]; readonly weights: readonly Weight[] } => ({
  nodes: [
    node('Shape', ['x'], ['shape']),
    node('Gather', ['shape', 'first'], ['size']),
    node('Concat', ['size', 'others'], ['made'], { axis: int(0) }),
  ],
  weights: [whole('first', 0), whole('others', ...others)],
});

/** Nodes that compute the number of rows n, and the numbers n - 1 and n + 1. */
const counts = {
  nodes: [
    node('Shape', ['x'], ['shape']),
    node('Gather', ['shape', 'first'], ['n']),
    node('Sub', ['n', 'unit'], ['less']),
    node('Add', ['n', 'unit'], ['more']),
  ],
  weights: [whole('first', 0), whole('unit', 1)],
} as const;

type Row = Given & { readonly name: string };

// prettier-ignore
const independent: readonly Row[] = [
  { name: 'a sum of features', nodes: [node('ReduceSum', ['x', 'a'], ['y'])], weights: [whole('a', 1, 2)] },
  { name: 'a softmax over the last axis', nodes: [node('Softmax', ['x'], ['y'])] },
  { name: 'a softmax of an old version over all axes except the first',
    nodes: [node('Softmax', ['x'], ['y'])], opset: 11 },
  { name: 'a product with weights', nodes: [node('MatMul', ['x', 'W'], ['y'])], weights: [floats('W', [4, 2])] },
  { name: 'attention within a row', nodes: [node('Transpose', ['x'], ['t'], { perm: ints(0, 2, 1) }),
      node('MatMul', ['x', 't'], ['s']), node('Softmax', ['s'], ['p']), node('MatMul', ['p', 'x'], ['y'])] },
  { name: 'heads split and joined by computed shapes',
    nodes: [...withRows(3, 2, 2).nodes, node('Reshape', ['x', 'made'], ['h']),
      node('Transpose', ['h'], ['t'], { perm: ints(0, 2, 1, 3) }),
      node('Transpose', ['t'], ['u'], { perm: ints(0, 2, 1, 3) }), node('Reshape', ['u', 'back'], ['y'])],
    weights: [...withRows(3, 2, 2).weights, whole('back', 0, 0, -1)] },
  { name: 'rows flattened for a product, then separated again',
    nodes: [node('Reshape', ['x', 'flat'], ['f']), node('Gemm', ['f', 'W', 'b'], ['p']),
      ...withRows(3, 2).nodes, node('Reshape', ['p', 'made'], ['y'])],
    weights: [whole('flat', -1, 4), floats('W', [4, 2]), floats('b', [2]), ...withRows(3, 2).weights] },
  { name: 'rows moved to the second axis and back',
    nodes: [node('Transpose', ['x'], ['t'], { perm: ints(1, 0, 2) }), node('Reshape', ['t', 'shape'], ['r']),
      node('ReduceMax', ['r'], ['m'], { axes: ints(0), keepdims: int(0) }), node('Identity', ['m'], ['y'])],
    weights: [whole('shape', 3, -1, 4)] },
  { name: 'an LSTM with the rows in its second axis',
    nodes: [node('Transpose', ['x'], ['t'], { perm: ints(1, 0, 2) }),
      node('LSTM', ['t', 'W', 'R'], ['all', 'h'], { hidden_size: int(2) }),
      node('Transpose', ['h'], ['u'], { perm: ints(1, 0, 2) }), node('Reshape', ['u', 'shape'], ['y'])],
    weights: [floats('W', [1, 8, 4]), floats('R', [1, 8, 2]), whole('shape', 0, -1)] },
  { name: 'a token added to every row', nodes: [...withRows(1, 4).nodes,
      node('Expand', ['token', 'made'], ['many']), node('Concat', ['many', 'x'], ['y'], { axis: int(1) })],
    weights: [...withRows(1, 4).weights, floats('token', [1, 1, 4])] },
  { name: 'a convolution, a norm and a pool', shape: ['batch', 3, 8, 8],
    nodes: [node('Conv', ['x', 'W'], ['c']), node('BatchNormalization', ['c', 's', 's', 's', 's'],
      ['n']), node('Relu', ['n'], ['r']), node('GlobalAveragePool', ['r'], ['p']),
      node('Flatten', ['p'], ['y'])], weights: [floats('W', [2, 3, 3, 3]), floats('s', [2])] },
  { name: 'a pool flattened by a fixed number of features', shape: ['batch', 3, 8, 8],
    nodes: [node('MaxPool', ['x'], ['p'], { kernel_shape: ints(2, 2), strides: ints(2, 2) }),
      node('Reshape', ['p', 'shape'], ['y'])], weights: [whole('shape', -1, 48)] },
  { name: 'quantisation by constants', nodes: [node('QuantizeLinear', ['x', 's', 'z'], ['q']),
      node('DequantizeLinear', ['q', 's', 'z'], ['y'])],
    weights: [floats('s', []), weight('z', 'uint8', [], Uint8Array.of(0))] },
  { name: 'trees', shape: ['batch', 4], nodes: [node('ai.onnx.ml.TreeEnsembleRegressor', ['x'], ['y'])] },
  { name: 'a table lookup by the content of a row',
    nodes: [node('ArgMax', ['x'], ['i'], { axis: int(2), keepdims: int(0) }),
      node('Gather', ['table', 'i'], ['y'])], weights: [floats('table', [9, 2])] },
  { name: 'a branch that does not depend on the rows',
    nodes: [node('If', ['yes'], ['y'], { then_branch: branch('a', node('Relu', ['x'], ['p'])),
      else_branch: branch('b', node('Neg', ['x'], ['q'])) })], weights: [weight('yes', 'bool', [], Uint8Array.of(1))] },
  { name: 'a causal mask', nodes: [node('Trilu', ['x'], ['y'])] },
  { name: 'ONNX Runtime\'s fused norm of two tensors',
    nodes: [node('com.microsoft.SkipLayerNormalization', ['x', 'x', 's'], ['y'])], weights: [floats('s', [4])] },
  { name: 'a product with packed weights', nodes: [node('com.microsoft.MatMulNBits', ['x', 'W', 's'], ['y'])],
    weights: [weight('W', 'uint8', [2, 1, 16], new Uint8Array(32)), floats('s', [2])] },
  { name: 'features picked from a table', shape: ['batch', 4],
    nodes: [node('ai.onnx.ml.ArrayFeatureExtractor', ['x', 'i'], ['y'])], weights: [whole('i', 0, 2)] },
  { name: 'an einsum that keeps the rows', nodes: [
      node('Einsum', ['x', 'x'], ['y'], { equation: { text: 'bij,bkj->bik' } })] },
];

// prettier-ignore
const dependent: readonly (Row & { readonly because: RegExp })[] = [
  { name: 'a maximum over everything', nodes: [node('ReduceMax', ['x'], ['m']),
      node('Div', ['x', 'm'], ['y'])], because: /^ReduceMax 'the-ReduceMax' reduces all rows to one value$/ },
  { name: 'a mean over the rows', nodes: [node('ReduceMean', ['x'], ['m'], { axes: ints(0) }),
      node('Sub', ['x', 'm'], ['y'])], because: /ReduceMean .* reduces all rows to one value/ },
  { name: 'a mean over an axis counted from the end',
    nodes: [node('ReduceMean', ['x'], ['y'], { axes: ints(-3) })], because: /ReduceMean/ },
  { name: 'a reduction along axes that are only known during a run',
    nodes: [node('Shape', ['x'], ['s']), node('ReduceSum', ['x', 's'], ['y'])], because: /ReduceSum / },
  { name: 'a branch that depends on a row', nodes: [
      node('ReduceMax', ['x'], ['m'], { axes: ints(1, 2), keepdims: int(0) }),
      node('Squeeze', ['m', 'a'], ['s']), node('Cast', ['s'], ['c'], { to: int(9) }),
      node('If', ['c'], ['y'], { then_branch: branch('a', node('Relu', ['x'], ['p'])),
      else_branch: branch('b', node('Neg', ['x'], ['q'])) })], weights: [whole('a', 0)],
    because: /Squeeze .* removes the row axis/ },
  { name: 'a softmax over the rows', nodes: [node('Softmax', ['x'], ['y'], { axis: int(0) })],
    because: /Softmax .* combines values of different rows/ },
  { name: 'a softmax of an old version from the first axis on',
    nodes: [node('Softmax', ['x'], ['y'], { axis: int(0) })], opset: 11, because: /Softmax/ },
  { name: 'dynamic quantisation', nodes: [node('DynamicQuantizeLinear', ['x'],
      ['q', 's', 'z']), node('DequantizeLinear', ['q', 's', 'z'], ['y'])],
    because: /DynamicQuantizeLinear .* largest value of all rows/ },
  { name: 'dynamic quantisation fused with a product',
    nodes: [node('com.microsoft.DynamicQuantizeMatMul', ['x', 'W', 's'],
      ['y'])], weights: [weight('W', 'int8', [4, 2], new Int8Array(8)),
      floats('s', [])], because: /com\.microsoft\.DynamicQuantizeMatMul/ },
  { name: 'a running sum over the rows', nodes: [node('CumSum', ['x', 'a'], ['y'])],
    weights: [scalar('a', 0)], because: /CumSum/ },
  { name: 'the largest rows', nodes: [node('TopK', ['x', 'k'], ['y', 'i'],
      { axis: int(0) })], weights: [whole('k', 1)], because: /TopK .* selects among the rows/ },
  { name: 'the first row for all', nodes: [node('Gather', ['x', 'i'], ['f'], { axis: int(0) }),
      node('Add', ['x', 'f'], ['y'])], weights: [whole('i', 0)], because: /Gather .* some of the rows/ },
  { name: 'all rows except the last', nodes: [node('Slice', ['x', 's', 'e', 'a'], ['y'])],
    weights: [whole('s', 0), whole('e', -1), whole('a', 0)], because: /Slice .* some of the rows/ },
  { name: 'entries added to the axis of the rows', nodes: [node('Concat', ['x', 'x'], ['y'], { axis: int(0) })],
    because: /Concat .* adds entries to the row axis/ },
  { name: 'rows joined in pairs', nodes: [node('Reshape', ['x', 's'], ['p']),
      node('ReduceMax', ['p'], ['m'], { axes: ints(1) }), node('Add', ['p', 'm'], ['a']),
      node('Reshape', ['a', 'b'], ['y'])], weights: [whole('s', -1, 24),
      whole('b', -1, 3, 4)], because: /Reshape .* merges rows/ },
  { name: 'rows treated as features', nodes: [node('Transpose', ['x'], ['t'], { perm: ints(1, 2, 0) }),
      node('Reshape', ['t', 's'], ['y'])], weights: [whole('s', -1, 12)], because: /Reshape/ },
  { name: 'rows compared with each other', shape: ['batch', 4],
    nodes: [node('Transpose', ['x'], ['t'], { perm: ints(1, 0) }),
      node('MatMul', ['x', 't'], ['y'])], because: /MatMul .* with each other/ },
  { name: 'a batch norm in training mode',
    nodes: [node('BatchNormalization', ['x', 's', 's', 's', 's'], ['y', 'm', 'v'],
      { training_mode: int(1) })], weights: [floats('s', [3])], because: /BatchNormalization .* training mode/ },
  { name: 'rows treated as time steps', nodes: [node('LSTM', ['x', 'W', 'R'], ['y', 'h'], { hidden_size: int(2) })],
    weights: [floats('W', [1, 8, 4]), floats('R', [1, 8, 2])], because: /LSTM .* treats the rows as time steps/ },
  { name: 'a loop', nodes: [
      node('Loop', ['n', '', 'x'], ['y'], { body: {
      graph: { name: 'b', nodes: [node('Identity', ['c'], ['d']), node('Mul', ['v', 'v'], ['w'])],
      inputs: [{ name: 'i', type: 'int64', shape: [] }, { name: 'c', type: 'bool', shape: [] },
      { name: 'v', type: 'float32' }], outputs: [{ name: 'd', type: 'bool', shape: [] },
      { name: 'w', type: 'float32' }] } } })], weights: [scalar('n', 3)], because: /Loop .* unknown/ },
  { name: 'the positions of non-zero elements',
    nodes: [node('NonZero', ['x'], ['n']), node('Cast', ['n'], ['y'], { to: int(1) })], because: /NonZero/ },
  { name: 'a norm of each row whose scale is the number of rows', shape: ['batch', 1, 4],
    nodes: [node('Shape', ['x'], ['s']), node('Gather', ['s', 'i'], ['g']), node('Cast', ['g'], ['c'], { to: int(1) }),
      node('InstanceNormalization', ['x', 'c', 'b'], ['y'])], weights: [whole('i', 0), floats('b', [1])],
    because: /InstanceNormalization/ },
  { name: 'a division by the number of rows',
    nodes: [node('Shape', ['x'], ['s']), node('Gather', ['s', 'i'], ['g']), node('Cast', ['g'], ['c'], { to: int(1) }),
      node('Div', ['x', 'c'], ['y'])], weights: [scalar('i', 0)], because: /Div .* number of rows/ },
  { name: 'a feature selected by the number of rows',
    nodes: [...counts.nodes, node('Gather', ['x', 'less'], ['y'], { axis: int(1) })],
    weights: counts.weights, because: /Gather .* number of rows/ },
  { name: 'a cut that starts at the number of rows',
    nodes: [...counts.nodes, node('Slice', ['x', 'less', 'n', 'unit'], ['y'])],
    weights: counts.weights, because: /Slice .* number of rows/ },
  { name: 'a cut that ends after the number of rows',
    nodes: [...counts.nodes, node('Slice', ['x', 'first', 'more', 'unit'],
      ['y'])], weights: counts.weights, because: /Slice .* number of rows/ },
  { name: 'features repeated once per row',
    nodes: [...counts.nodes, node('Concat', ['unit', 'n', 'unit'], ['r'], { axis: int(0) }),
      node('Tile', ['x', 'r'], ['y'])], weights: counts.weights, because: /Tile .* number of rows/ },
  { name: 'features expanded by the number of rows', shape: ['batch', 1],
    nodes: [...counts.nodes, node('Concat', ['n', 'more'], ['r'], { axis: int(0) }), node('Expand', ['x', 'r'], ['e']),
      node('ReduceSum', ['e', 'unit'], ['y'])], weights: counts.weights, because: /Expand .* number of rows/ },
  { name: 'padding by the number of rows',
    nodes: [...counts.nodes, node('Cast', ['n'], ['c'], { to: int(1) }), node('Pad', ['x', 'p', 'c'], ['y'])],
    weights: [...counts.weights, whole('p', 0, 0, 0, 0, 1, 1)], because: /Pad/ },
  { name: 'positions resized to the number of rows',
    nodes: [...counts.nodes, node('Concat', ['n', 'three', 'more'], ['r'], { axis: int(0) }),
      node('Resize', ['x', '', '', 'r'], ['y'])], weights: [...counts.weights, whole('three', 3)], because: /Resize/ },
  { name: 'a triangle of the rows', shape: ['batch', 4], nodes: [node('Trilu', ['x'], ['y'])], because: /Trilu/ },
  { name: 'random numbers', nodes: [node('RandomNormalLike', ['x'], ['r']),
      node('Add', ['x', 'r'], ['y'])], because: /RandomNormalLike .* random numbers/ },
  { name: 'weights that differ between rows', nodes: [node('Add', ['x', 'W'], ['y'])],
    weights: [floats('W', [8, 3, 4])], because: /Add .* size other than 1 on the axis where/ },
  { name: 'an unknown operator', nodes: [node('mine.Mystery', ['x'], ['y'])],
    because: /mine\.Mystery 'the-Mystery': its effect on the rows is unknown/ },
  { name: 'an axis that is dropped if it has one entry', nodes: [node('Squeeze', ['x'], ['y'])],
    because: /Squeeze .* removes every axis of size 1/ },
  { name: 'a reduction inside a branch',
    nodes: [node('If', ['yes'], ['y'], { then_branch: branch('a',
      node('ReduceMax', ['x'], ['p'])), else_branch: branch('b', node('Neg', ['x'], ['q'])) })],
    weights: [weight('yes', 'bool', [], Uint8Array.of(1))], because: /./ },
  { name: 'an output without rows', nodes: [node('Identity', ['W'], ['y'])],
    weights: [floats('W', [1, 4])], because: /output 'y' has no rows/ },
  { name: "another dimension with the name of the rows' dimension", shape: ['n', 'n'],
    nodes: [node('Identity', ['x'], ['y'])], because: /the dimension 'n' twice/ },
  { name: 'a fixed number of rows', nodes: [node('Identity', ['x'], ['y'])],
    shape: [2, 4], because: /first dimension of input 'x' is fixed/ },
];

describe('rows of a graph', () => {
  for (const { name, ...given } of independent)
    it(`may share a run with ${name}`, () => assert.equal(verdictOf(given), 'independent'));
  for (const { name, because, ...given } of dependent)
    it(`may not share a run with ${name}`, () => assert.match(verdictOf(given), because));
});

describe("the graph of the examples' encoder", () => {
  it('may be batched: it computes shapes, splits heads and joins them', () =>
    assert.deepEqual(inspectBytes(modelBytes(tinyEncoder())).rows, { independent: true }));
});

describe('functions of a model', () => {
  const plainNode = (
    op: string,
    domain: string,
    [input, output]: readonly [string, string],
    attributes: GraphBody['nodes'][number]['attributes'] = new Map(),
  ): GraphBody['nodes'][number] => ({ op, domain, name: '', inputs: [input], outputs: [output], attributes });
  const fileOf = (inner: GraphBody['nodes'][number], axis: number): GraphFile => ({
    opset: 17,
    body: {
      nodes: [plainNode('Softly', 'mine', ['x', 'y'], new Map([['along', { int: axis }]]))],
      constants: new Map(),
      inputs: ['x'],
      outputs: ['y'],
    },
    functions: new Map([['mine.Softly', { nodes: [inner], constants: new Map(), inputs: ['a'], outputs: ['b'] }]]),
  });
  const signature = {
    inputs: [{ name: 'x', type: 'float32', dims: ['batch', 4] }],
    outputs: [{ name: 'y', type: 'float32' }],
  } as const;
  const softmax = plainNode('Softmax', '', ['a', 'b'], new Map([['axis', { refersTo: 'along' }]]));

  it('are evaluated with the attributes of their caller', () => {
    assert.deepEqual(
      [rowsVerdict(fileOf(softmax, 1), signature), rowsVerdict(fileOf(softmax, 0), signature)],
      [{ independent: true }, { independent: false, because: 'Softmax combines values of different rows' }],
    );
  });

  it('are unknown when an attribute has a default', () => {
    const odd = plainNode('Softmax', '', ['a', 'b'], new Map([['axis', { refersTo: 'other' }]]));
    assert.match(JSON.stringify(rowsVerdict(fileOf(odd, 1), signature)), /an attribute of the function has a default/);
  });

  it('are read from the file', () => {
    const bytesWith = (axis: number): Uint8Array => {
      const model = modelProto(modelOf({ nodes: [node('mine.Softly', ['x'], ['y'], { along: int(axis) })] }));
      const attribute = [{ name: 'axis', refAttrName: 'along', type: AttributeProto_AttributeType.INT }];
      const inner = [{ opType: 'Softmax', input: ['a'], output: ['b'], attribute }];
      const softly = { name: 'Softly', domain: 'mine', input: ['a'], output: ['b'], attribute: ['along'], node: inner };
      model.functions.push(create(FunctionProtoSchema, softly));
      return Buffer.concat(encodeProto(model));
    };
    assert.deepEqual(
      [inspectBytes(bytesWith(2)).rows, inspectBytes(bytesWith(0)).rows],
      [{ independent: true }, { independent: false, because: 'Softmax combines values of different rows' }],
    );
  });

  it('are refused if they call themselves', () => {
    assert.match(
      JSON.stringify(
        rowsVerdict(fileOf(plainNode('Softly', 'mine', ['a', 'b'], new Map([['along', { int: 1 }]])), 1), signature),
      ),
      /nested too deeply/,
    );
  });
});
