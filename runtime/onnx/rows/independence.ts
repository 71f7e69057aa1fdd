/**
 * Decides from the graph alone whether the rows of one run can influence each other.
 *
 * Owns:  the walk through a graph, its branches and the model's functions. The walk tracks the axis of the rows in
 *        every tensor (rules in table.ts). If the axis cannot be tracked, the rows count as dependent. A trial run is
 *        not enough, because rows may depend on each other only for certain values. For example, a quantisation scale
 *        may be the largest value of all rows.
 * Terms: a row is everything at one index of the first dimension of the inputs; requests are batched by joining their
 *        rows. A value is plain if it does not depend on the rows' content, and mixed if a row may depend on others.
 * Pure.
 */
import type { GraphBody, GraphFile, GraphNode } from '../graph.ts';
import type { RowsVerdict, TensorInfo } from '../model-info.ts';
import { nodeNameOf, unsure, type NodeCall } from './call.ts';
import { plainResult, sizeOf } from './sizes.ts';
import { rules } from './table.ts';
import {
  freeSize,
  isRowCount,
  mixed,
  numberSize,
  plain,
  rows,
  type PlainValue,
  type Size,
  type Value,
} from './value.ts';

type Walk = { readonly file: GraphFile; readonly fresh: () => Size; readonly depth: number };
type Scope = Map<string, Value>;

const maxDepth = 16;

/** @param signature inputs and outputs of requests; the first dimension of an input is its rows */
export function rowsVerdict(
  file: GraphFile,
  signature: { readonly inputs: readonly TensorInfo[]; readonly outputs: readonly TensorInfo[] },
): RowsVerdict {
  let last = 0;
  const walk: Walk = { file, depth: 0, fresh: () => freeSize(`\0${(last += 1)}`) };
  const scope: Scope = new Map(signature.inputs.map((input) => [input.name, inputValue(input, walk)]));
  evaluate(file.body, scope, walk);
  for (const { name } of signature.outputs) {
    const because = problemOf(scope.get(name), name);
    if (because !== undefined) return { independent: false, because };
  }
  return { independent: true };
}

function problemOf(value: Value | undefined, name: string): string | undefined {
  if (value === undefined) return `no node produces output '${name}'`;
  if (value.kind === 'Mixed') return value.because;
  if (value.kind === 'Plain') return `output '${name}' has no rows`;
  return value.axis === 0 && isRowCount(value.dims[0])
    ? undefined
    : `output '${name}' does not have its rows on the first dimension`;
}

function inputValue({ name, dims }: TensorInfo, { fresh }: Walk): Value {
  if (dims === undefined) return mixed(`the rank of input '${name}' is unknown`);
  if (typeof dims[0] !== 'string') return mixed(`the first dimension of input '${name}' is fixed`);
  const [first] = dims;
  // A second dimension with the name of the rows' dimension would have the number of rows as its size.
  if (first !== '' && dims.indexOf(first, 1) > 0) return mixed(`input '${name}' has the dimension '${first}' twice`);
  return {
    kind: 'Rows',
    axis: 0,
    dims: dims.map((dim, axis) =>
      axis === 0 ? freeSize(rows) : typeof dim === 'number' ? numberSize(dim) : dim === '' ? fresh() : freeSize(dim),
    ),
  };
}

/** Adds what is known about the outputs of every node to the scope, which maps a tensor's name to its description. */
function evaluate(body: GraphBody, scope: Scope, walk: Walk): void {
  for (const [name, { dims, values }] of body.constants) {
    // A weight with the name of an input is only the default value of this input.
    if (!scope.has(name)) scope.set(name, plain(dims.map(numberSize), values?.map(numberSize)));
  }
  for (const node of body.nodes) {
    const results = resultsOf(node, scope, walk).map((value) => sound(value, node));
    node.outputs.forEach((name, at) => {
      if (name !== '') scope.set(name, results[at] ?? mixed(`${nodeNameOf({ node })}: its output ${at} is unknown`));
    });
  }
}

/**
 * Returns the value if its shape contains the number of rows exactly once, on the rows' axis. Otherwise returns a Mixed
 * value: rows would have different shapes or lie along several axes.
 */
function sound(value: Value, node: GraphNode): Value {
  if (value.kind !== 'Rows') return value;
  const fits = value.dims.every(
    (dim, axis) => dim.free.filter((name) => name === rows).length === (axis === value.axis ? 1 : 0),
  );
  return fits
    ? value
    : mixed(`${nodeNameOf({ node })} has an output whose shape depends on the number of rows in more than one axis`);
}

function resultsOf(node: GraphNode, scope: Scope, walk: Walk): readonly Value[] {
  const inputs = node.inputs.map((name) =>
    name === '' ? undefined : (scope.get(name) ?? mixed(`no node produces '${name.slice(0, 100)}'`)),
  );
  const call: NodeCall = { node, inputs, opset: walk.file.opset, fresh: walk.fresh };
  const captured = [...node.attributes.values()]
    .flatMap(({ graph }) => (graph === undefined ? [] : namesIn(graph)))
    .map((name) => scope.get(name));
  const all = [...inputs, ...captured].filter((value) => value !== undefined);
  const bad = all.find((value) => value.kind === 'Mixed');
  if (bad !== undefined) return node.outputs.map(() => bad);
  if (node.op.startsWith('Random') || node.op === 'Multinomial' || node.op === 'Bernoulli')
    return node.outputs.map(() => mixed(`${nodeNameOf(call)} draws random numbers`));
  const inner =
    walk.file.functions.get(`${node.domain === '' ? 'ai.onnx' : node.domain}.${node.op}`) ??
    walk.file.functions.get(`${node.domain}.${node.op}`);
  if (inner !== undefined) return ofFunction(call, inner, walk);
  if (!all.some((value) => value.kind === 'Rows')) return plainOutputs(call, all as readonly PlainValue[]);
  return ofOperator(call, scope, walk);
}

/**
 * The outputs of a node without rows in its inputs: weights or sizes. Loops and branches of such nodes are not
 * followed.
 */
function plainOutputs(call: NodeCall, all: readonly PlainValue[]): readonly Value[] {
  const result = plainResult(call, call.inputs as readonly (PlainValue | undefined)[]);
  if (call.node.outputs.length === 1) return [result];
  return call.node.outputs.map(() =>
    plain(
      undefined,
      undefined,
      all.some((value) => value.countsRows),
    ),
  );
}

function ofOperator(call: NodeCall, scope: Scope, walk: Walk): readonly Value[] {
  const {
    node,
    inputs: [first],
  } = call;
  const key = node.domain === '' ? node.op : `${node.domain}.${node.op}`;
  if (key === 'If') return ofBranches(call, scope, walk);
  if (['Shape', 'Size'].includes(key) && first?.kind === 'Rows') return [sizeOf(call, first)];
  const result = rules.get(key)?.(call) ?? unsure(call);
  return Array.isArray(result) ? (result as readonly Value[]) : [result as Value];
}

/**
 * The outputs of an If node. Both branches must return values with equal shapes and with rows on the same axis. The
 * condition must not depend on the content or the number of the rows.
 */
function ofBranches(call: NodeCall, scope: Scope, walk: Walk): readonly Value[] {
  const [condition] = call.inputs;
  const bodies = ['then_branch', 'else_branch'].map((name) => call.node.attributes.get(name)?.graph);
  const [one, other] = bodies;
  if (one === undefined || other === undefined || walk.depth >= maxDepth)
    return call.node.outputs.map(() => unsure(call));
  if (condition?.kind !== 'Plain' || condition.countsRows)
    return call.node.outputs.map(() => mixed(`${nodeNameOf(call)} chooses one branch for all rows`));
  const [left = [], right = []] = [one, other].map((body) =>
    inScope(body, new Map(scope), { ...walk, depth: walk.depth + 1 }),
  );
  return call.node.outputs.map((_, at) =>
    isAlike(left[at], right[at])
      ? (left[at] ?? unsure(call))
      : unsure(call, 'its branches have their rows on different axes'),
  );
}

function isAlike(a: Value | undefined, b: Value | undefined): boolean {
  return (
    a?.kind === 'Rows' && b?.kind === 'Rows' && a.axis === b.axis && JSON.stringify(a.dims) === JSON.stringify(b.dims)
  );
}

function inScope(body: GraphBody, scope: Scope, walk: Walk): readonly Value[] {
  evaluate(body, scope, walk);
  return body.outputs.map((name) => scope.get(name) ?? mixed(`no node produces '${name.slice(0, 100)}'`));
}

/** Evaluates the body of one of the model's own functions, with the caller's inputs and attributes. */
function ofFunction(call: NodeCall, body: GraphBody, walk: Walk): readonly Value[] {
  if (walk.depth >= maxDepth) return call.node.outputs.map(() => unsure(call, 'its functions are nested too deeply'));
  const scope: Scope = new Map();
  body.inputs.forEach((name, at) => {
    const value = call.inputs[at];
    if (value !== undefined) scope.set(name, value);
  });
  const bound = body.nodes.map((node) => bind(node, call.node));
  if (bound.includes(undefined))
    return call.node.outputs.map(() => unsure(call, 'an attribute of the function has a default'));
  return inScope({ ...body, nodes: bound as readonly GraphNode[] }, scope, { ...walk, depth: walk.depth + 1 });
}

/** @returns undefined when the caller lacks an attribute that the function refers to */
function bind(node: GraphNode, caller: GraphNode): GraphNode | undefined {
  const attributes = [...node.attributes].map(
    ([name, attribute]) =>
      [name, attribute.refersTo === undefined ? attribute : caller.attributes.get(attribute.refersTo)] as const,
  );
  if (attributes.some(([, attribute]) => attribute === undefined)) return undefined;
  return {
    ...node,
    attributes: new Map(attributes as readonly (readonly [string, NonNullable<(typeof attributes)[number][1]>])[]),
  };
}

/** Every name that a subgraph uses, including names that it defines. */
function namesIn(body: GraphBody): readonly string[] {
  const below = body.nodes.flatMap((node) =>
    [...node.attributes.values()].flatMap(({ graph }) => (graph === undefined ? [] : namesIn(graph))),
  );
  return [...body.nodes.flatMap(({ inputs }) => inputs), ...body.outputs, ...below];
}
