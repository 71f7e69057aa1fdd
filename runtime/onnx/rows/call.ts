/**
 * One node being looked at, and what every rule asks of it.
 *
 * Owns:  reading attributes and constant inputs, and the sentences for what a rule cannot allow.
 * Pure.
 */
import type { GraphAttribute, GraphNode } from '../graph.ts';
import { hasRows, isOne, isSameSize, mixed, numberOf, type RowsValue, type Size, type Value } from './value.ts';

export type Call = {
  readonly node: GraphNode;
  /** Undefined: an optional input that is left out. */
  readonly inputs: readonly (Value | undefined)[];
  /** Version of ai.onnx. */
  readonly opset: number;
  /** A size that nothing else has. */
  readonly fresh: () => Size;
};

/**
 * Asked when an input has rows and none is mixed. One value stands for the first output; the others are then not known.
 */
export type Rule = (call: Call) => Value | readonly Value[];

export function attributeOf({ node }: Call, name: string): GraphAttribute | undefined {
  return node.attributes.get(name);
}

export function intOf(call: Call, name: string, otherwise: number): number {
  return attributeOf(call, name)?.int ?? otherwise;
}

/** The numbers of a constant input, or of the attribute that older versions have instead; undefined when not known. */
export function numbersOf(call: Call, input: number, attribute?: string): readonly number[] | undefined {
  const found = attribute === undefined ? undefined : attributeOf(call, attribute);
  if (found !== undefined) return found.ints ?? found.floats ?? (found.int === undefined ? undefined : [found.int]);
  const values = sizesOf(call, input)?.map(numberOf);
  return values?.every((value) => value !== undefined) === true ? values : undefined;
}

/** The same, of sizes that may not be numbers yet. */
export function sizesOf(call: Call, input: number): readonly (Size | undefined)[] | undefined {
  const value = call.inputs[input];
  return value?.is === 'Plain' ? value.values : undefined;
}

/** The input when it has rows. */
export function rowsOf(call: Call, input: number): RowsValue | undefined {
  const value = call.inputs[input];
  return value?.is === 'Rows' ? value : undefined;
}

/** Whether all other inputs are the same for all rows. */
export function othersArePlain(call: Call, input: number): boolean {
  return call.inputs.every(
    (value, at) => at === input || value === undefined || (value.is === 'Plain' && !value.countsRows),
  );
}

/**
 * Whether an input that says how to cut or shape has the number of rows in it, other than in the entry of the rows' own
 * axis: each row would come out different in other company.
 * @param at the entry that stands for the axis of the rows; absent for none
 */
export function countsElsewhere(call: Call, input: number, at?: number): boolean {
  const value = call.inputs[input];
  if (value?.is !== 'Plain' || !value.countsRows) return false;
  return (
    value.values === undefined ||
    value.values.some((size, index) => index !== at && (size === undefined || hasRows(size)))
  );
}

/** An axis that may be counted from the end. */
export function axisOf(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

export function nameOf({ node }: Pick<Call, 'node'>): string {
  const op = node.domain === '' ? node.op : `${node.domain}.${node.op}`;
  return node.name === '' ? op : `${op} '${node.name.slice(0, 100)}'`;
}

/** The operator is known to join rows. */
export function joins(call: Call, how = 'works across the rows'): Value {
  return mixed(`${nameOf(call)} ${how}`);
}

/** The operator may be harmless, but that cannot be shown. */
export function unsure(call: Call, why = 'what it does with the rows is not known'): Value {
  return mixed(`${nameOf(call)}: ${why}`);
}

/** The rows where they were, other sizes unless given: those of the input. */
export function sameRows(value: RowsValue, dims: readonly Size[] = value.dims): Value {
  return { is: 'Rows', axis: value.axis, dims };
}

/**
 * The result of an operator that works position by position, as NumPy broadcasts.
 * Every input with rows has to have them at the same place, and no other may have more than one entry there.
 */
export function broadcast(call: Call, inputs: readonly (Value | undefined)[] = call.inputs): Value {
  const given = inputs.filter((value) => value !== undefined);
  const withRows = given.filter((value) => value.is === 'Rows');
  const rank = Math.max(0, ...given.map((value) => (value.is === 'Mixed' ? 0 : (value.dims?.length ?? 0))));
  const [first] = withRows;
  if (first === undefined) return unsure(call);
  const axis = first.axis + rank - first.dims.length;
  for (const value of given) {
    const wrong =
      value.is === 'Mixed' ? 'it is mixed' : misfit(value, { axis, rank, rowsSize: first.dims[first.axis] });
    if (wrong !== undefined) return unsure(call, wrong);
  }
  const dims = Array.from({ length: rank }, (_, at) => widest(given, at - rank) ?? call.fresh());
  return { is: 'Rows', axis, dims };
}

type Place = { readonly axis: number; readonly rank: number; readonly rowsSize: Size | undefined };

function misfit(value: Exclude<Value, { is: 'Mixed' }>, { axis, rank, rowsSize }: Place): string | undefined {
  if (value.dims === undefined) return 'the rank of an input is not known';
  const own = axis - (rank - value.dims.length);
  if (value.is === 'Rows')
    return value.axis === own && isSameSize(value.dims[own], rowsSize)
      ? undefined
      : 'its inputs have the rows in different places';
  if (value.countsRows) return 'an input depends on the number of rows';
  return own < 0 || isOne(value.dims[own]) ? undefined : 'an input has entries of its own for every row';
}

/** The size at a place counted from the end: the one that is not 1, of inputs with rows first. */
function widest(values: readonly Value[], fromEnd: number): Size | undefined {
  const sizes = values
    .toSorted((a, b) => Number(b.is === 'Rows') - Number(a.is === 'Rows'))
    .map((value) => (value.is === 'Mixed' ? undefined : value.dims?.at(fromEnd)));
  return sizes.find((size) => size !== undefined && !isOne(size)) ?? sizes.find((size) => size !== undefined);
}
