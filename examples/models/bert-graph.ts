/**
 * Writes a BERT encoder as an ONNX graph: embeddings, layers of attention and feed-forward, a pooled output.
 * Owns: the arithmetic in ONNX operators (opset 17). The interface `Weights` adds the weights, in the precision that
 * its implementation chooses.
 * Shape: inputs input_ids, attention_mask, token_type_ids int64 [batch, sequence]; outputs last_hidden_state [batch,
 * sequence, hidden] and sentence_embedding [batch, hidden] (mean over the mask, L2 norm 1).
 * Source: Devlin et al. 2018 (BERT), Reimers & Gurevych 2019 (mean pooling over tokens).
 */
import type { Attribute, Graph, Node, Weight } from '../../runtime/onnx/build.ts';
import { weight } from '../../runtime/onnx/build.ts';

export type BertShape = { readonly layers: number; readonly hidden: number; readonly heads: number };

/**
 * Adds the weights of the network to a graph. A path such as `embeddings.word` or `layer.0.query` names the role of a
 * weight.
 */
export interface Weights {
  /**
   * Adds x·W + b to the graph.
   * @returns the output's name
   */
  linear(draft: GraphDraft, path: string, x: string): string;
  /**
   * Adds the lookup of rows of a table to the graph.
   * @returns the output's name
   */
  rows(draft: GraphDraft, path: string, indices: string): string;
  /** Adds the scale and the bias of a layer norm. @returns the names of both weights */
  norm(draft: GraphDraft, path: string): readonly [scale: string, bias: string];
}

/** A graph under construction: its nodes in order, and its weights. All names are unique. */
export class GraphDraft {
  readonly nodes: Node[] = [];
  readonly weights: Weight[] = [];

  /** Adds a node named `name` with one output of the same name. */
  op(
    name: string,
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string {
    this.nodes.push({ op, name, inputs, outputs: [name], attributes });
    return name;
  }

  /** Adds a node with several outputs, named `name:label`. */
  ops(name: string, op: string, inputs: readonly string[], labels: readonly string[]): readonly string[] {
    const outputs = labels.map((label) => `${name}:${label}`);
    this.nodes.push({ op, name, inputs, outputs });
    return outputs;
  }

  floats(name: string, dims: readonly number[], values: readonly number[] | Float32Array): string {
    this.weights.push(weight(name, 'float32', dims, Float32Array.from(values)));
    return name;
  }

  integers(name: string, values: readonly number[]): string {
    this.weights.push(weight(name, 'int64', [values.length], BigInt64Array.from(values, BigInt)));
    return name;
  }

  integer(name: string, value: number): string {
    this.weights.push(weight(name, 'int64', [], BigInt64Array.of(BigInt(value))));
    return name;
  }

  bytes(name: string, dims: readonly number[], values: Uint8Array): string {
    this.weights.push({ name, type: 'uint8', dims, data: values });
    return name;
  }
}

const float32Code = 1;
/** The number that BERT adds to the score of a masked position. */
const maskedScore = -10_000;

export function bertGraph(name: string, shape: BertShape, weights: Weights): Graph {
  const draft = new GraphDraft();
  const mask = draft.op('mask', 'Cast', ['attention_mask'], { to: { int: float32Code } });
  const constants = declareConstants(draft, shape);
  const bias = attentionBias(draft, mask, constants);
  let x = embed(draft, weights);
  for (let layer = 0; layer < shape.layers; layer += 1) {
    const path = `layer.${layer}`;
    const context = attention(draft, { path, x, bias }, weights, constants);
    x = addAndNorm(draft, `${path}.attention.norm`, [context, x], weights);
    x = addAndNorm(draft, `${path}.norm`, [feedForward(draft, path, x, weights), x], weights);
  }
  draft.op('last_hidden_state', 'Identity', [x]);
  pool(draft, x, mask);
  const tokens = ['batch', 'sequence'];
  return {
    name,
    nodes: draft.nodes,
    weights: draft.weights,
    inputs: ['input_ids', 'attention_mask', 'token_type_ids'].map((input) => ({
      name: input,
      type: 'int64',
      shape: tokens,
    })),
    outputs: [
      { name: 'last_hidden_state', type: 'float32', shape: [...tokens, shape.hidden] },
      { name: 'sentence_embedding', type: 'float32', shape: ['batch', shape.hidden] },
    ],
  };
}

type Constants = Readonly<
  Record<'one' | 'half' | 'rootHalf' | 'scale' | 'masked' | 'splitHeads' | 'joinHeads' | 'axes12', string>
>;

function declareConstants(draft: GraphDraft, { hidden, heads }: BertShape): Constants {
  return {
    one: draft.floats('one', [], [1]),
    half: draft.floats('half', [], [0.5]),
    rootHalf: draft.floats('root_half', [], [Math.SQRT1_2]),
    scale: draft.floats('attention_scale', [], [1 / Math.sqrt(hidden / heads)]),
    masked: draft.floats('masked_score', [], [maskedScore]),
    // In a reshape, 0 keeps a dimension of the input, so batch and sequence can have any size.
    splitHeads: draft.integers('split_heads', [0, 0, heads, hidden / heads]),
    joinHeads: draft.integers('join_heads', [0, 0, hidden]),
    axes12: draft.integers('axes_1_2', [1, 2]),
  };
}

/**
 * The number to add to the score of each position: 0 for a token, a large negative number for padding. Shape: [batch,
 * 1, 1, sequence].
 */
function attentionBias(draft: GraphDraft, mask: string, c: Constants): string {
  const wide = draft.op('mask.wide', 'Unsqueeze', [mask, c.axes12]);
  return draft.op('mask.bias', 'Mul', [draft.op('mask.inverse', 'Sub', [c.one, wide]), c.masked]);
}

function embed(draft: GraphDraft, weights: Weights): string {
  const shape = draft.op('ids.shape', 'Shape', ['input_ids'], { start: { int: 1 }, end: { int: 2 } });
  const length = draft.op('ids.length', 'Squeeze', [shape]);
  const positions = draft.op('positions', 'Range', [draft.integer('first', 0), length, draft.integer('step', 1)]);
  const word = weights.rows(draft, 'embeddings.word', 'input_ids');
  const type = weights.rows(draft, 'embeddings.type', 'token_type_ids');
  const position = weights.rows(draft, 'embeddings.position', positions);
  const sum = draft.op('embeddings.sum', 'Add', [draft.op('embeddings.word_type', 'Add', [word, type]), position]);
  return layerNorm(draft, 'embeddings.norm', sum, weights);
}

function attention(
  draft: GraphDraft,
  at: { path: string; x: string; bias: string },
  weights: Weights,
  c: Constants,
): string {
  const { path, x, bias } = at;
  const heads = (role: string, perm: readonly number[]): string => {
    const split = draft.op(`${path}.${role}.heads`, 'Reshape', [
      weights.linear(draft, `${path}.${role}`, x),
      c.splitHeads,
    ]);
    return draft.op(`${path}.${role}.by_head`, 'Transpose', [split], { perm: { ints: perm } });
  };
  const query = heads('query', [0, 2, 1, 3]);
  const key = heads('key', [0, 2, 3, 1]);
  const value = heads('value', [0, 2, 1, 3]);
  const raw = draft.op(`${path}.scores.raw`, 'MatMul', [query, key]);
  const scores = draft.op(`${path}.scores`, 'Add', [draft.op(`${path}.scores.scaled`, 'Mul', [raw, c.scale]), bias]);
  const shares = draft.op(`${path}.shares`, 'Softmax', [scores], { axis: { int: -1 } });
  const mixed = draft.op(`${path}.mixed`, 'Transpose', [draft.op(`${path}.mixed.by_head`, 'MatMul', [shares, value])], {
    perm: { ints: [0, 2, 1, 3] },
  });
  return weights.linear(
    draft,
    `${path}.attention.output`,
    draft.op(`${path}.context`, 'Reshape', [mixed, c.joinHeads]),
  );
}

/** Two linear maps with the function GELU between them. GELU has its exact form x/2 * (1 + erf(x / sqrt 2)). */
function feedForward(draft: GraphDraft, path: string, x: string, weights: Weights): string {
  const wide = weights.linear(draft, `${path}.intermediate`, x);
  const erf = draft.op(`${path}.gelu.erf`, 'Erf', [draft.op(`${path}.gelu.in`, 'Mul', [wide, 'root_half'])]);
  const gate = draft.op(`${path}.gelu.gate`, 'Add', [erf, 'one']);
  const gelu = draft.op(`${path}.gelu`, 'Mul', [draft.op(`${path}.gelu.half`, 'Mul', [wide, 'half']), gate]);
  return weights.linear(draft, `${path}.output`, gelu);
}

function addAndNorm(draft: GraphDraft, path: string, [a, b]: readonly [string, string], weights: Weights): string {
  return layerNorm(draft, path, draft.op(`${path}.sum`, 'Add', [a, b]), weights);
}

function layerNorm(draft: GraphDraft, path: string, x: string, weights: Weights): string {
  return draft.op(path, 'LayerNormalization', [x, ...weights.norm(draft, path)], {
    axis: { int: -1 },
    epsilon: { float: 1e-12 },
  });
}

/** The mean over all tokens except padding, scaled to length 1. */
function pool(draft: GraphDraft, x: string, mask: string): void {
  const axis1 = draft.integers('axis_1', [1]);
  const column = draft.op('mask.column', 'Unsqueeze', [mask, draft.integers('axis_2', [2])]);
  const flat = { keepdims: { int: 0 } };
  const sum = draft.op('pool.sum', 'ReduceSum', [draft.op('pool.masked', 'Mul', [x, column]), axis1], flat);
  const seen = draft.op('pool.seen', 'ReduceSum', [column, axis1], flat);
  const mean = draft.op('pool.mean', 'Div', [
    sum,
    draft.op('pool.count', 'Max', [seen, draft.floats('tiny', [], [1e-9])]),
  ]);
  const norm = draft.op('pool.norm', 'ReduceL2', [mean], { axes: { ints: [1] }, keepdims: { int: 1 } });
  draft.op('sentence_embedding', 'Div', [mean, norm]);
}
