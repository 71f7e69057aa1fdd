/**
 * Small random graphs over x[batch, 3, 4]. Most graphs compute each row (one index of `batch`) independently of the
 * others, but many do not.
 * Owns: the steps, and their probabilities. ONNX Runtime may refuse a graph. There are no recurrent layers and no
 * InstanceNormalization, because they crash the process if their inputs are unsuitable.
 * Pure: the same seed gives the same model.
 */
import { weight, type Attribute, type Model, type Node, type Weight } from '../../runtime/onnx/build.ts';

/**
 * Returns a function that draws an integer below a limit, by Marsaglia's xorshift. The same seed gives the same
 * integers.
 */
export function chance(seed: number): (below: number) => number {
  let state = Math.imul(seed | 1, 0x9e3779b1) | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

class Draft {
  readonly nodes: Node[] = [];
  readonly weights: Weight[] = [];
  /** Names of the float tensors in the graph so far. */
  readonly made: string[] = ['x'];
  readonly below: (limit: number) => number;
  #names = 0;

  constructor(below: (limit: number) => number) {
    this.below = below;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  /** Draws a tensor, mostly the last one, so that graphs become deep. */
  any(): string {
    return this.below(10) < 7 ? (this.made.at(-1) ?? 'x') : this.pick(this.made);
  }

  axis(): number {
    return this.pick([-1, 0, 1, 2, 3]);
  }

  add(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    outputs = 1,
  ): string[] {
    const names = Array.from({ length: outputs }, () => this.#name());
    this.nodes.push({ op, inputs, outputs: names, attributes });
    return names;
  }

  keep(op: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}, outputs = 1): void {
    this.made.push(...this.add(op, inputs, attributes, outputs));
  }

  whole(values: readonly number[], dims: readonly number[] = [values.length]): string {
    return this.#weight(weight(this.#name(), 'int64', dims, BigInt64Array.from(values, BigInt)));
  }

  floats(dims: readonly number[]): string {
    const count = dims.reduce((product, dim) => product * dim, 1);
    return this.#weight(
      weight(
        this.#name(),
        'float32',
        dims,
        Float32Array.from({ length: count }, () => this.below(2000) / 1000 - 1),
      ),
    );
  }

  #weight(made: Weight): string {
    this.weights.push(made);
    return made.name;
  }

  #name(): string {
    this.#names += 1;
    return `t${this.#names}`;
  }
}

const shapes = [
  [0, -1],
  [-1, 4],
  [-1, 12],
  [0, 0, -1],
  [0, 4, 3],
  [1, -1],
  [-1, 3, 4],
  [-1],
  [0, 3, 2, 2],
  [1, -1, 4],
  [3, -1],
  [-1, 6],
  [0, 0, 2, 2],
  [-1, 2, 2],
  [4, -1, 3],
  [-1, 24],
] as const;
const orders = [
  [1, 0],
  [0, 2, 1],
  [1, 0, 2],
  [2, 1, 0],
  [1, 2, 0],
  [0, 2, 1, 3],
  [0, 1, 3, 2],
  [1, 0, 2, 3],
] as const;
const equations = [
  'bij,bjk->bik',
  'bij,bik->bjk',
  'ij,ij->i',
  'bi,bj->bij',
  'ij,kj->ik',
  'bij,cij->bc',
  'bij,bij->bi',
  'bij,bi->bj',
] as const;

/** Adds the nodes that compute a shape from a size of another tensor, as exporters write them. */
function madeShape(draft: Draft, of: string): string {
  const [shape = ''] = draft.add('Shape', [of]);
  const [size = ''] = draft.add('Gather', [shape, draft.whole([draft.pick([0, 1])])]);
  const parts = draft.pick([
    [size, draft.whole(draft.pick([[12], [-1], [3, 4], [4, -1]]))],
    [draft.whole(draft.pick([[3], [-1], [1]])), size],
    [draft.whole([1]), size, draft.whole([-1])],
  ]);
  return draft.add('Concat', parts, { axis: { int: 0 } })[0] ?? '';
}

function branch(name: string, op: string, input: string): Attribute {
  return {
    graph: {
      name,
      nodes: [{ op, inputs: [input], outputs: [`${name}-out`] }],
      inputs: [],
      outputs: [{ name: `${name}-out`, type: 'float32' }],
    },
  };
}

const steps: readonly ((draft: Draft) => void)[] = [
  (d) => d.keep(d.pick(['Add', 'Mul', 'Sub', 'Max', 'Min']), [d.any(), d.any()]),
  (d) =>
    d.keep(d.pick(['Add', 'Mul']), [
      d.any(),
      d.floats(d.pick([[4], [3, 4], [1], [3, 1], [2, 3, 4], [2, 1, 1, 1], [1, 3, 4]])),
    ]),
  (d) => d.keep('MatMul', [d.any(), d.any()]),
  (d) =>
    d.keep('MatMul', [
      d.any(),
      d.floats(
        d.pick([
          [4, 4],
          [3, 3],
          [4, 2],
          [12, 4],
          [2, 4, 4],
        ]),
      ),
    ]),
  (d) =>
    d.keep('MatMul', [
      d.floats(
        d.pick([
          [4, 4],
          [3, 3],
          [2, 3],
        ]),
      ),
      d.any(),
    ]),
  (d) =>
    d.keep(d.pick(['ReduceMax', 'ReduceMean', 'ReduceMin', 'ReduceL2']), [d.any()], {
      ...(d.below(10) < 8 ? { axes: { ints: [d.axis()] } } : {}),
      keepdims: { int: d.below(2) },
    }),
  (d) =>
    d.keep('ReduceSum', [d.any(), d.whole(d.below(10) < 8 ? [d.axis()] : [1, 2])], { keepdims: { int: d.below(2) } }),
  (d) => d.keep(d.pick(['Softmax', 'LogSoftmax']), [d.any()], { axis: { int: d.axis() } }),
  (d) => d.keep('Transpose', [d.any()], { perm: { ints: d.pick(orders) } }),
  (d) => d.keep('Reshape', [d.any(), d.whole(d.pick(shapes))]),
  (d) => d.keep('Flatten', [d.any()], { axis: { int: d.axis() } }),
  (d) => d.keep('Concat', [d.any(), d.any()], { axis: { int: d.axis() } }),
  (d) =>
    d.keep('Slice', [
      d.any(),
      d.whole([d.pick([0, 1, -1])]),
      d.whole([d.pick([1, 2, 3, 2 ** 40])]),
      d.whole([d.axis()]),
    ]),
  (d) => d.keep('Gather', [d.any(), d.pick([d.whole([1, 0]), d.whole([0], [])])], { axis: { int: d.axis() } }),
  (d) => d.keep('Split', [d.any()], { axis: { int: d.axis() } }, d.pick([2, 3])),
  (d) => d.keep('Squeeze', d.below(10) < 7 ? [d.any(), d.whole([d.axis()])] : [d.any()]),
  (d) => d.keep('Unsqueeze', [d.any(), d.whole([d.axis()])]),
  (d) => {
    const from = d.any();
    d.keep('Reshape', [from, madeShape(d, from)]);
  },
  (d) =>
    d.keep('Expand', [
      d.below(2) === 0 ? d.floats(d.pick([[1, 4], [1, 3, 4], [4], [3, 4], [1]])) : d.any(),
      d.add('Shape', [d.pick(d.made)])[0] ?? '',
    ]),
  (d) => d.keep('CumSum', [d.any(), d.whole([d.axis()], [])]),
  (d) => d.made.push(d.add('TopK', [d.any(), d.whole([1])], { axis: { int: d.axis() } }, 2)[0] ?? 'x'),
  (d) => d.keep('LayerNormalization', [d.any(), d.floats([4])], { axis: { int: d.pick([-1, -2, 1, 0]) } }),
  (d) =>
    d.keep('Tile', [
      d.any(),
      d.whole(
        d.pick([
          [1, 1, 2],
          [2, 1, 1],
          [1, 2],
          [2, 1],
        ]),
      ),
    ]),
  (d) =>
    d.keep('Pad', [
      d.any(),
      d.whole(
        d.pick([
          [0, 0, 1, 0, 0, 1],
          [1, 0, 0, 0, 0, 0],
          [0, 1, 0, 1],
        ]),
      ),
    ]),
  (d) => d.keep('DequantizeLinear', d.add('DynamicQuantizeLinear', [d.any()], {}, 3)),
  (d) => {
    const [a, b] = [d.any(), d.any()];
    d.keep('Where', [d.add('Greater', [a, b])[0] ?? '', a, b]);
  },
  (d) =>
    d.keep(
      'Gemm',
      [
        d.any(),
        d.below(10) < 7
          ? d.floats(
              d.pick([
                [4, 4],
                [12, 4],
                [3, 4],
              ]),
            )
          : d.any(),
      ],
      { transA: { int: d.below(4) === 0 ? 1 : 0 }, transB: { int: d.below(3) === 0 ? 1 : 0 } },
    ),
  (d) => d.keep('Einsum', [d.any(), d.any()], { equation: { text: d.pick(equations) } }),
  (d) => d.keep(d.pick(['Tanh', 'Relu', 'Sigmoid', 'Identity', 'Abs']), [d.any()]),
  (d) =>
    d.keep('Cast', d.add('ArgMax', [d.any()], { axis: { int: d.axis() }, keepdims: { int: d.below(2) } }), {
      to: { int: 1 },
    }),
  (d) => d.keep('ConstantOfShape', d.add('Shape', [d.any()])),
  (d) => d.keep('Div', [d.any(), d.add('Cast', d.add('Size', [d.any()]), { to: { int: 1 } })[0] ?? '']),
  (d) => {
    const input = d.any();
    d.keep('If', d.add('Greater', [d.add('ReduceMax', [d.any()], { keepdims: { int: 0 } })[0] ?? '', d.floats([])]), {
      then_branch: branch('then', 'Identity', input),
      else_branch: branch('else', 'Neg', input),
    });
  },
  (d) => {
    const [place = ''] = d.add('ArgMax', [d.any()], { axis: { int: d.axis() }, keepdims: { int: d.below(2) } });
    d.keep('Gather', [d.floats([3, 4]), d.add('Mod', [place, d.whole([3], [])])[0] ?? ''], {
      axis: { int: d.below(2) },
    });
  },
  (d) =>
    d.keep('GatherElements', [d.any(), d.add('ArgMax', [d.any()], { axis: { int: d.axis() } })[0] ?? ''], {
      axis: { int: d.axis() },
    }),
  (d) =>
    d.keep('Conv', [
      d.add('Reshape', [
        d.any(),
        d.whole(
          d.pick([
            [0, 3, 2, 2],
            [0, 2, 3, 2],
          ]),
        ),
      ])[0] ?? '',
      d.floats(
        d.pick([
          [2, 3, 1, 1],
          [4, 2, 2, 2],
          [4, 3, 2, 2],
        ]),
      ),
    ]),
];

/** x[batch, 3, 4] → y, in one to six steps. */
export function randomGraph(seed: number): Model {
  const draft = new Draft(chance(seed));
  for (let left = 1 + draft.below(6); left > 0; left -= 1) draft.pick(steps)(draft);
  const nodes = [...draft.nodes, { op: 'Identity', inputs: [draft.made.at(-1) ?? 'x'], outputs: ['y'] }];
  return {
    opset: 17,
    graph: {
      name: 'random',
      nodes,
      weights: draft.weights,
      inputs: [{ name: 'x', type: 'float32', shape: ['batch', 3, 4] }],
      outputs: [{ name: 'y', type: 'float32' }],
    },
  };
}
