/**
 * Rules of products, convolutions, recurrent layers and attention.
 *
 * Terms: a rule describes the outputs of a node. Rows are the items of a run, which may come from different requests;
 *        an input has rows if one of its axes holds one piece for each row. Otherwise it is the same for all rows.
 * Pure.
 */
import {
  attributeOf,
  broadcast,
  countsElsewhere,
  intOf,
  joins,
  numbersOf,
  othersArePlain,
  rowsInput,
  sameRows,
  sizesOf,
  unsure,
  type NodeCall,
  type RowsRule,
} from './call.ts';
import {
  isOne,
  isSameSize,
  numberOf,
  numberSize,
  one,
  type PlainValue,
  type RowsValue,
  type Size,
  type Value,
} from './value.ts';

/**
 * @param at indexes of the inputs that are multiplied; other inputs (scales, zero points) must be the same for all rows
 */
export function matMul(at: readonly [number, number] = [0, 1]): RowsRule {
  return (call) => {
    if (
      !call.inputs.every(
        (value, index) => at.includes(index) || value === undefined || (value.kind === 'Plain' && !value.countsRows),
      )
    )
      return unsure(call, 'its scales depend on the rows');
    if (['transA', 'transB', 'transBatchA', 'transBatchB'].some((name) => intOf(call, name, 0) !== 0))
      return unsure(call);
    return multiply(call, call.inputs[at[0]], call.inputs[at[1]]);
  };
}

type Known = Exclude<Value, { kind: 'Mixed' }> & { readonly dims: readonly Size[] };

function isMatrix(value: Value | undefined): value is Known {
  return value !== undefined && value.kind !== 'Mixed' && value.dims !== undefined && value.dims.length >= 2;
}

function multiply(call: NodeCall, a: Value | undefined, b: Value | undefined): Value {
  if (!isMatrix(a) || !isMatrix(b)) return unsure(call, 'the rank of an input is unknown, or 1');
  const shape = [a.dims.at(-2) ?? one, b.dims.at(-1) ?? one];
  if (a.kind === 'Rows')
    return b.kind === 'Rows'
      ? multiplyRows(call, [a, b], shape)
      : multiplyPlain(call, { own: a, other: b, summed: a.dims.length - 1, shape });
  return b.kind === 'Rows' ? multiplyPlain(call, { own: b, other: a, summed: b.dims.length - 2, shape }) : unsure(call);
}

/**
 * Multiplies the matrices of each row of the request separately. The axis of the rows must be the same in both inputs,
 * and must not be one of the last two axes.
 */
function multiplyRows(call: NodeCall, [a, b]: readonly [RowsValue, RowsValue], shape: readonly Size[]): Value {
  if (a.axis >= a.dims.length - 2 || b.axis >= b.dims.length - 2)
    return joins(call, 'multiplies the rows with each other');
  const outer = broadcast(call, [
    { ...a, dims: a.dims.slice(0, -2) },
    { ...b, dims: b.dims.slice(0, -2) },
  ]);
  return outer.kind === 'Rows' ? { ...outer, dims: [...outer.dims, ...shape] } : outer;
}

/**
 * A product of `own`, which has rows, and `other`, which has none. `summed` is the axis of `own` that the product sums
 * over. `shape` has the last two sizes of the result.
 */
type Product = {
  readonly own: RowsValue;
  readonly other: PlainValue & { readonly dims: readonly Size[] };
  readonly summed: number;
  readonly shape: readonly Size[];
};

function multiplyPlain(call: NodeCall, { own, other, summed, shape }: Product): Value {
  if (own.axis === summed) return joins(call, 'sums over the rows');
  if (other.countsRows) return unsure(call, 'an input depends on the number of rows');
  const rank = Math.max(own.dims.length, other.dims.length);
  const axis = own.axis + rank - own.dims.length;
  const beside = other.dims[axis - (rank - other.dims.length)];
  if (axis < rank - 2 && beside !== undefined && !isOne(beside))
    return unsure(
      call,
      'an input that does not carry rows has a size other than 1 on the axis where other inputs have their rows',
    );
  const outer = Array.from({ length: rank - 2 }, (_, at) =>
    larger(own.dims[at - (rank - own.dims.length)], other.dims[at - (rank - other.dims.length)]),
  );
  return { kind: 'Rows', axis, dims: [...outer, ...shape] };
}

function larger(own: Size | undefined, other: Size | undefined): Size {
  return own === undefined || isOne(own) ? (other ?? one) : own;
}

function isWeight(value: Value): boolean {
  return value.kind === 'Plain' && !value.countsRows;
}

/**
 * The first input if it has images and all other inputs are the same for all rows. The axes of images are the rows, the
 * channels, and then the spatial axes.
 */
function imagesOf(call: NodeCall): RowsValue | undefined {
  const value = rowsInput(call, 0);
  return value?.axis === 0 && value.dims.length >= 3 && othersArePlain(call, 0) ? value : undefined;
}

/** A · B + C, with the rows on the first axis of A, or on the second axis if A is transposed. */
export const gemm: RowsRule = (call) => {
  const [a, b, c] = call.inputs;
  if (a?.kind !== 'Rows' || !isMatrix(b) || !isWeight(b)) return unsure(call);
  const rowsAt = intOf(call, 'transA', 0) === 0 ? 0 : 1;
  if (a.axis !== rowsAt || a.dims.length !== 2) return joins(call, 'sums over the rows');
  const out: Value = {
    kind: 'Rows',
    axis: 0,
    dims: [a.dims[rowsAt], b.dims[intOf(call, 'transB', 0) === 0 ? 1 : 0]].map(known),
  };
  return c === undefined ? out : broadcast(call, [out, c]);
};

function known(size: Size | undefined): Size {
  return size ?? one;
}

/** The inputs after the first are weights and scales: they must be the same for all rows. */
export const convolve: RowsRule = (call) => {
  const value = imagesOf(call);
  if (value === undefined) return unsure(call);
  const weights = call.inputs[call.node.op === 'QLinearConv' ? 3 : 1];
  const [size = one, ...rest] = value.dims;
  if (call.node.op === 'ConvTranspose' || !isMatrix(weights))
    return sameRows(value, [size, ...rest.map(() => call.fresh())]);
  const kernel = attributeOf(call, 'kernel_shape')?.ints ?? weights.dims.slice(2).map(numberOf);
  return sameRows(value, [size, weights.dims[0] ?? one, ...windows(call, value.dims.slice(2), kernel)]);
};

/**
 * Pooling: only the first output keeps the rows apart. The second output has indexes into the whole tensor, which
 * depend on the position of a row among the other rows.
 */
export const pool: RowsRule = (call) => {
  const value = imagesOf(call);
  if (value === undefined) return unsure(call);
  const sizes = windows(call, value.dims.slice(2), attributeOf(call, 'kernel_shape')?.ints ?? []);
  return [
    sameRows(value, [...value.dims.slice(0, 2), ...sizes]),
    joins(call, "returns indexes that depend on the row's position in the batch"),
  ];
};

/** Sizes after a sliding window. A size that cannot be computed becomes a new symbolic size. */
function windows(call: NodeCall, dims: readonly Size[], kernel: readonly (number | undefined)[]): readonly Size[] {
  const auto = attributeOf(call, 'auto_pad')?.text ?? 'NOTSET';
  const told = ['NOTSET', 'VALID'].includes(auto) && intOf(call, 'ceil_mode', 0) === 0;
  const pads = auto === 'VALID' ? [] : (attributeOf(call, 'pads')?.ints ?? []);
  return dims.map((dim, at) => {
    const [size, width] = [numberOf(dim), kernel[at]];
    if (!told || size === undefined || width === undefined) return call.fresh();
    const reach = (width - 1) * entryOf(call, 'dilations', at) + 1;
    return numberSize(
      Math.floor((size + (pads[at] ?? 0) + (pads[at + dims.length] ?? 0) - reach) / entryOf(call, 'strides', at)) + 1,
    );
  });
}

function entryOf(call: NodeCall, attribute: string, at: number): number {
  return attributeOf(call, attribute)?.ints?.[at] ?? 1;
}

/** Resize and Upsample: the rows must be on the first axis, and this axis must keep its size. */
export const resize: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  const isFirst =
    value?.axis === 0 && call.inputs.every((input, at) => at === 0 || input === undefined || input.kind === 'Plain');
  if (
    !isFirst ||
    !resizesAsAsked(call) ||
    [1, 2, 3].some((input) => countsElsewhere(call, input, input === 3 ? 0 : undefined))
  )
    return unsure(call);
  const sizes = sizesOf(call, 3) ?? [];
  if (firstScale(call) !== 1 && !isSameSize(sizes[0], value.dims[0])) return unsure(call, 'it may resize the rows');
  return sameRows(
    value,
    value.dims.map((dim, at) => (at === 0 ? dim : (sizes[at] ?? call.fresh()))),
  );
};

/** True if each size or scale applies to the axis at the same position, and the axes are resized independently. */
function resizesAsAsked(call: NodeCall): boolean {
  return (
    (attributeOf(call, 'keep_aspect_ratio_policy')?.text ?? 'stretch') === 'stretch' &&
    attributeOf(call, 'axes') === undefined
  );
}

function firstScale(call: NodeCall): number | undefined {
  const given = attributeOf(call, 'scales')?.floats ?? numbersOf(call, call.node.op === 'Upsample' ? 1 : 2);
  return given?.[0];
}

/** Every input with rows must use the same letter for the rows' axis, and the result must have that letter too. */
export const einsum: RowsRule = (call) => {
  const equation = (attributeOf(call, 'equation')?.text ?? '').replace(/\s/g, '');
  const [left = '', right] = equation.split('->');
  const terms = left.split(',');
  if (right === undefined || equation.includes('.')) return unsure(call);
  const letter = letterOfRows(call, terms);
  if (letter === undefined) return joins(call);
  if (!right.includes(letter)) return joins(call, 'sums over the rows');
  if (
    call.inputs.some(
      (value, at) => value?.kind === 'Plain' && (value.countsRows || terms[at]?.includes(letter) === true),
    )
  )
    return unsure(call);
  const sizes = new Map(call.inputs.flatMap((value, at) => namedSizes(value, terms[at] ?? '')));
  return {
    kind: 'Rows',
    axis: right.indexOf(letter),
    dims: right.split('').map((name) => sizes.get(name) ?? call.fresh()),
  };
};

/** @returns undefined when inputs use different letters for the rows */
function letterOfRows(call: NodeCall, terms: readonly string[]): string | undefined {
  const letters = new Set(
    call.inputs.flatMap((value, at) => (value?.kind === 'Rows' ? [terms[at]?.[value.axis]] : [])),
  );
  return letters.size === 1 ? [...letters][0] : undefined;
}

function namedSizes(value: Value | undefined, term: string): readonly (readonly [string, Size])[] {
  const dims = value === undefined || value.kind === 'Mixed' ? undefined : value.dims;
  return term.split('').flatMap((name, axis) => (dims?.[axis] === undefined ? [] : [[name, dims[axis]] as const]));
}

/** RNN, GRU, LSTM: the rows are the second axis of the input, or the first if `layout` is set. */
export const recurrent: RowsRule = (call) => {
  const rowsFirst = intOf(call, 'layout', 0) === 1;
  const value = rowsInput(call, 0);
  if (value === undefined) return unsure(call);
  if (value.axis !== (rowsFirst ? 0 : 1) || value.dims.length !== 3)
    return joins(call, 'treats the rows as time steps');
  if (!call.inputs.every((input, at) => at === 0 || fitsRecurrent(input, at, rowsFirst))) return unsure(call);
  const [directions, hidden] = [call.fresh(), call.fresh()];
  const [first = one, second = one] = value.dims;
  if (rowsFirst)
    return statesOf(
      { kind: 'Rows', axis: 0, dims: [first, second, directions, hidden] },
      { kind: 'Rows', axis: 0, dims: [first, directions, hidden] },
    );
  return statesOf(
    { kind: 'Rows', axis: 2, dims: [first, directions, second, hidden] },
    { kind: 'Rows', axis: 1, dims: [directions, second, hidden] },
  );
};

/** The states of all steps, the last state, and for an LSTM the cell state. */
function statesOf(all: Value, last: Value): readonly Value[] {
  return [all, last, last];
}

/**
 * The inputs W, R, B and P must not have rows. The lengths (input 4) and the initial states (inputs 5 and 6) may have
 * rows, on the axis that the operator prescribes.
 */
function fitsRecurrent(input: Value | undefined, at: number, rowsFirst: boolean): boolean {
  if (input === undefined) return true;
  if (input.kind === 'Plain') return !input.countsRows;
  return input.kind === 'Rows' && at >= 4 && at < 7 && input.axis === (at === 4 || rowsFirst ? 0 : 1);
}

/** ONNX Runtime's fused attention: every input with rows must have its rows on the first axis. */
export const attention: RowsRule = (call) => {
  const first = rowsInput(call, 0);
  if (first === undefined || first.axis !== 0 || first.dims.length !== 3) return unsure(call);
  const fits = call.inputs.every(isPlainOrRowsFirst);
  return fits ? [sameRows(first, [first.dims[0] ?? one, first.dims[1] ?? one, call.fresh()])] : unsure(call);
};

/** EmbedLayerNormalization: its inputs are token ids, segment ids, tables of embeddings, and a mask. */
export const embed: RowsRule = (call) => {
  const ids = rowsInput(call, 0);
  const fits = call.inputs.every(isPlainOrRowsFirst);
  if (ids?.axis !== 0 || ids.dims.length !== 2 || !fits) return unsure(call);
  const [size = one, length = one] = ids.dims;
  return [
    { kind: 'Rows', axis: 0, dims: [size, length, call.fresh()] },
    { kind: 'Rows', axis: 0, dims: [size] },
  ];
};

function isPlainOrRowsFirst(value: Value | undefined): boolean {
  return (
    value === undefined || (value.kind === 'Plain' ? !value.countsRows : value.kind === 'Rows' && value.axis === 0)
  );
}

/** SkipLayerNormalization adds two tensors with rows, then normalises along the last axis. */
export const skipNormalise: RowsRule = (call) => {
  const first = rowsInput(call, 0);
  const second = rowsInput(call, 1);
  if (
    first === undefined ||
    second === undefined ||
    !call.inputs.slice(2).every((value) => value === undefined || isWeight(value))
  )
    return unsure(call);
  const sum = broadcast(call, [first, second]);
  if (sum.kind !== 'Rows' || sum.axis === sum.dims.length - 1) return unsure(call);
  return [sum, unsure(call), unsure(call), sum];
};

/** Rotary embedding: the first input has the rows; the others are positions and tables of angles. */
export const rotate: RowsRule = (call) => {
  const first = rowsInput(call, 0);
  return first?.axis === 0 && call.inputs.every(isPlainOrRowsFirst) ? first : unsure(call);
};

/** A product with packed weights, which sums over the last axis: the rows must be on another axis. */
export const packedMatMul: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  if (value === undefined || !othersArePlain(call, 0)) return unsure(call);
  if (value.axis === value.dims.length - 1) return joins(call, 'sums over the rows');
  return sameRows(
    value,
    value.dims.map((dim, axis) => (axis === value.dims.length - 1 ? call.fresh() : dim)),
  );
};
