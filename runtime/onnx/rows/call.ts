/**
 * The argument of a rule: one node with its inputs. Also helpers for rules.
 *
 * Owns:  reading attributes and constant inputs, and the messages of rules that reject a node.
 * Terms: a rule describes the outputs of the nodes of one operator. Rows are the items of a run, which may come from
 *        different requests; a value has rows if one of its axes holds one piece for each row. A value is mixed if a
 *        row may depend on other rows, and plain if it does not depend on the rows' content.
 * Pure.
 */
import type { GraphAttribute, GraphNode } from '../graph.ts';
import { hasRows, isOne, isSameSize, mixed, numberOf, type RowsValue, type Size, type Value } from './value.ts';

export type NodeCall = {
  readonly node: GraphNode;
  /** An entry is undefined if the node omits an optional input. */
  readonly inputs: readonly (Value | undefined)[];
  /** Version of ai.onnx. */
  readonly opset: number;
  /** Returns a new symbolic size that differs from every other size. */
  readonly fresh: () => Size;
};

/**
 * Describes the outputs of a node. Called when at least one input has rows and no input is mixed. If the rule returns a
 * single value, it describes the first output, and the other outputs are unknown.
 */
export type RowsRule = (call: NodeCall) => Value | readonly Value[];

export function attributeOf({ node }: NodeCall, name: string): GraphAttribute | undefined {
  return node.attributes.get(name);
}

export function intOf(call: NodeCall, name: string, otherwise: number): number {
  return attributeOf(call, name)?.int ?? otherwise;
}

/**
 * The numbers of a constant input, or of the attribute that older operator versions use instead; undefined when the
 * numbers are unknown.
 */
export function numbersOf(call: NodeCall, input: number, attribute?: string): readonly number[] | undefined {
  const found = attribute === undefined ? undefined : attributeOf(call, attribute);
  if (found !== undefined) return found.ints ?? found.floats ?? (found.int === undefined ? undefined : [found.int]);
  const values = sizesOf(call, input)?.map(numberOf);
  return values?.every((value) => value !== undefined) === true ? values : undefined;
}

/** The numbers of an input without rows, which may be symbolic sizes; undefined when they are unknown. */
export function sizesOf(call: NodeCall, input: number): readonly (Size | undefined)[] | undefined {
  const value = call.inputs[input];
  return value?.kind === 'Plain' ? value.values : undefined;
}

/** The input if it has rows; otherwise undefined. */
export function rowsInput(call: NodeCall, input: number): RowsValue | undefined {
  const value = call.inputs[input];
  return value?.kind === 'Rows' ? value : undefined;
}

/** True if every input except the one at the index `input` is plain: the same for all rows. */
export function othersArePlain(call: NodeCall, input: number): boolean {
  return call.inputs.every(
    (value, at) => at === input || value === undefined || (value.kind === 'Plain' && !value.countsRows),
  );
}

/**
 * True if an input that holds a shape, or the positions of a slice, may contain the number of rows in an entry other
 * than the entry of the rows' axis. Each row's result would then depend on the number of rows in the run.
 * @param at position of the entry of the rows' axis; absent if no entry belongs to that axis
 */
export function countsElsewhere(call: NodeCall, input: number, at?: number): boolean {
  const value = call.inputs[input];
  if (value?.kind !== 'Plain' || !value.countsRows) return false;
  return (
    value.values === undefined ||
    value.values.some((size, index) => index !== at && (size === undefined || hasRows(size)))
  );
}

/** Resolves an axis that may be counted from the end. */
export function axisOf(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

export function nodeNameOf({ node }: Pick<NodeCall, 'node'>): string {
  const op = node.domain === '' ? node.op : `${node.domain}.${node.op}`;
  return node.name === '' ? op : `${op} '${node.name.slice(0, 100)}'`;
}

/** Rejects the node: the operator is known to mix rows. */
export function joins(call: NodeCall, how = 'combines values of different rows'): Value {
  return mixed(`${nodeNameOf(call)} ${how}`);
}

/** Rejects the node: it cannot be shown that the operator keeps rows apart. */
export function unsure(call: NodeCall, why = 'its effect on the rows is unknown'): Value {
  return mixed(`${nodeNameOf(call)}: ${why}`);
}

/**
 * A result with the rows on the same axis as in `value`. `dims` are its dimensions, by default the dimensions of
 * `value`.
 */
export function sameRows(value: RowsValue, dims: readonly Size[] = value.dims): Value {
  return { kind: 'Rows', axis: value.axis, dims };
}

/**
 * The result of an element-wise operator with NumPy's broadcasting. Every input with rows must have them on the same
 * axis, and every other input must have size 1 on this axis, or lack the axis.
 */
export function broadcast(call: NodeCall, inputs: readonly (Value | undefined)[] = call.inputs): Value {
  const given = inputs.filter((value) => value !== undefined);
  const withRows = given.filter((value) => value.kind === 'Rows');
  const rank = Math.max(0, ...given.map((value) => (value.kind === 'Mixed' ? 0 : (value.dims?.length ?? 0))));
  const [first] = withRows;
  if (first === undefined) return unsure(call);
  const axis = first.axis + rank - first.dims.length;
  for (const value of given) {
    const wrong =
      value.kind === 'Mixed'
        ? 'an input already combines values of several rows'
        : misfit(value, { axis, rank, rowsSize: first.dims[first.axis] });
    if (wrong !== undefined) return unsure(call, wrong);
  }
  const dims = Array.from({ length: rank }, (_, at) => widest(given, at - rank) ?? call.fresh());
  return { kind: 'Rows', axis, dims };
}

type Place = { readonly axis: number; readonly rank: number; readonly rowsSize: Size | undefined };

function misfit(value: Exclude<Value, { kind: 'Mixed' }>, { axis, rank, rowsSize }: Place): string | undefined {
  if (value.dims === undefined) return 'the rank of an input is unknown';
  const own = axis - (rank - value.dims.length);
  if (value.kind === 'Rows')
    return value.axis === own && isSameSize(value.dims[own], rowsSize)
      ? undefined
      : 'its inputs have their rows on different axes';
  if (value.countsRows) return 'an input depends on the number of rows';
  return own < 0 || isOne(value.dims[own])
    ? undefined
    : 'an input that does not carry rows has a size other than 1 on the axis where other inputs have their rows';
}

/**
 * The broadcast size of an axis: the first size that is not 1, with the sizes of inputs with rows considered first.
 * `fromEnd` is the negative index of the axis, because axes are aligned at the last one.
 */
function widest(values: readonly Value[], fromEnd: number): Size | undefined {
  const sizes = values
    .toSorted((a, b) => Number(b.kind === 'Rows') - Number(a.kind === 'Rows'))
    .map((value) => (value.kind === 'Mixed' ? undefined : value.dims?.at(fromEnd)));
  return sizes.find((size) => size !== undefined && !isOne(size)) ?? sizes.find((size) => size !== undefined);
}
