/**
 * Rules of operators that move, cut and join values.
 *
 * Terms: a rule describes the outputs of a node. Rows are the items of a run, which may come from different requests;
 *        a value has rows if one of its axes holds one piece for each row. A symbolic size is a size whose number only
 *        the request determines.
 * Pure.
 */
import {
  attributeOf,
  axisOf,
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
  hasRows,
  isOne,
  isSameSize,
  numberOf,
  numberSize,
  one,
  over,
  product,
  type PlainValue,
  type RowsValue,
  type Size,
  type Value,
} from './value.ts';

export const transpose: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  if (value === undefined) return unsure(call);
  const order = attributeOf(call, 'perm')?.ints ?? value.dims.map((_, axis) => axis).toReversed();
  if (order.length !== value.dims.length) return unsure(call);
  return { kind: 'Rows', axis: order.indexOf(value.axis), dims: order.map((axis) => value.dims[axis] ?? one) };
};

export const unsqueeze: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  const axes = numbersOf(call, 1, 'axes');
  if (value === undefined || axes === undefined) return unsure(call);
  const rank = value.dims.length + axes.length;
  const added = new Set(axes.map((axis) => axisOf(axis, rank)));
  const kept = value.dims.entries();
  let rowsAt = 0;
  const dims = Array.from({ length: rank }, (_, at) => {
    if (added.has(at)) return one;
    const [from, dim] = kept.next().value ?? [-1, one];
    if (from === value.axis) rowsAt = at;
    return dim;
  });
  return { kind: 'Rows', axis: rowsAt, dims };
};

export const squeeze: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  const axes = numbersOf(call, 1, 'axes')?.map((axis) => axisOf(axis, value?.dims.length ?? 0));
  // Without axes, the operator would drop the rows' axis when a run has a single row.
  if (value === undefined || axes === undefined)
    return unsure(call, 'it removes every axis of size 1, which may be the row axis');
  if (axes.includes(value.axis)) return joins(call, 'removes the row axis');
  return {
    kind: 'Rows',
    axis: value.axis - axes.filter((axis) => axis < value.axis).length,
    dims: value.dims.filter((_, axis) => !axes.includes(axis)),
  };
};

export const flatten: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  if (value === undefined) return unsure(call);
  const axis = axisOf(intOf(call, 'axis', 1), value.dims.length);
  return reshaped(call, value, [product(value.dims.slice(0, axis)), product(value.dims.slice(axis))]);
};

export const reshape: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  if (value === undefined) return unsure(call);
  const asked = attributeOf(call, 'shape')?.ints?.map(numberSize) ?? sizesOf(call, 1);
  if (asked === undefined) return unsure(call, 'its output shape is unknown');
  const allowZero = intOf(call, 'allowzero', 0) === 1;
  const dims = asked.map((size, at) => (numberOf(size) === 0 && !allowZero ? value.dims[at] : size));
  const open = dims.flatMap((size, at) => (size === undefined || numberOf(size) === -1 ? [at] : []));
  const [gap] = open;
  if (gap === undefined) return reshaped(call, value, dims as readonly Size[]);
  if (open.length > 1) return unsure(call, 'its output shape is unknown');
  const rest = over(product(value.dims), product(dims.filter((_, at) => at !== gap) as readonly Size[]));
  return reshaped(
    call,
    value,
    dims.map((size, at) => (at === gap ? rest : size)),
  );
};

/**
 * The rows stay apart if the axes before the rows' axis keep their sizes, and the size of the axis after them is the
 * number of rows or a multiple of it. Axes of size 1 do not count. The values of each row then stay contiguous in
 * memory.
 * @param dims the new shape; one size may be undefined, if it follows from the other sizes but cannot be computed
 */
function reshaped(call: NodeCall, value: RowsValue, dims: readonly (Size | undefined)[]): Value {
  const before = value.dims.slice(0, value.axis).filter((dim) => !isOne(dim));
  let at = 0;
  for (const dim of before) {
    while (isOne(dims[at])) at += 1;
    if (!isSameSize(dims[at], dim)) return unsure(call, 'it moves values between the row axis and the axes before it');
    at += 1;
  }
  while (at < dims.length && isOne(dims[at]) && !hasRows(dims[at])) at += 1;
  const size = dims[at];
  if (!hasRows(size)) return unsure(call, 'its output shape merges rows');
  return { kind: 'Rows', axis: at, dims: dims.map((dim) => dim ?? call.fresh()) };
}

export const concat: RowsRule = (call) => {
  const given = call.inputs.filter((value) => value !== undefined);
  const first = given.find((value) => value.kind === 'Rows');
  if (first?.kind !== 'Rows') return unsure(call);
  const axis = axisOf(intOf(call, 'axis', 1), first.dims.length);
  if (axis === first.axis) return joins(call, 'adds entries to the row axis');
  const fits = given.every(
    (value) =>
      value.kind === 'Rows' &&
      value.axis === first.axis &&
      value.dims.length === first.dims.length &&
      isSameSize(value.dims[first.axis], first.dims[first.axis]),
  );
  if (!fits) return unsure(call, 'its inputs have their rows on different axes');
  const sizes = given.map((value) => numberOf(value.kind === 'Rows' ? value.dims[axis] : undefined));
  const sum = sizes.every((size) => size !== undefined)
    ? numberSize(sizes.reduce((total, size) => total + size, 0))
    : call.fresh();
  return sameRows(
    first,
    first.dims.map((dim, at) => (at === axis ? sum : dim)),
  );
};

export const split: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  if (value === undefined || !othersArePlain(call, 0)) return unsure(call);
  const axis = axisOf(intOf(call, 'axis', 0), value.dims.length);
  if (axis === value.axis) return joins(call, 'splits the row axis');
  const parts = numbersOf(call, 1, 'split');
  const whole = value.dims[axis] ?? one;
  const each = over(whole, numberSize(call.node.outputs.length));
  return call.node.outputs.map((_, at) => {
    const part = parts?.[at];
    const size = part === undefined ? (each ?? call.fresh()) : numberSize(part);
    return sameRows(
      value,
      value.dims.map((dim, index) => (index === axis ? size : dim)),
    );
  });
};

const farAway = 2 ** 31 - 1;
const countsRows = 'the part that it keeps depends on the number of rows';

export const slice: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  if (value === undefined || !othersArePlainSizes(call)) return unsure(call);
  const cuts = cutsOf(call, value.dims.length);
  if (cuts === undefined) return unsure(call, 'its axes are unknown');
  const own = cuts.findIndex(({ axis }) => axis === value.axis);
  if ([1, 2, 4].some((input) => countsElsewhere(call, input, own))) return unsure(call, countsRows);
  const dims = [...value.dims];
  for (const { axis, ...cut } of cuts) {
    if (axis === value.axis && !isWhole(cut, value.dims[axis])) return joins(call, 'takes only some of the rows');
    if (axis !== value.axis) dims[axis] = lengthOf(cut, dims[axis]) ?? call.fresh();
  }
  return sameRows(value, dims);
};

/** The cut along each axis. Old versions of Slice have the cuts in attributes, newer versions have them in inputs. */
function cutsOf(call: NodeCall, rank: number): readonly (Cut & { readonly axis: number })[] | undefined {
  const starts = numbersOf(call, 1, 'starts') ?? [];
  const ends = attributeOf(call, 'ends')?.ints?.map(numberSize) ?? sizesOf(call, 2) ?? [];
  const axes = axesOf(call, Math.max(starts.length, ends.length));
  const steps = call.inputs[4] === undefined ? axes?.map(() => 1) : numbersOf(call, 4);
  return axes?.map((axis, at) => ({ axis: axisOf(axis, rank), start: starts[at], end: ends[at], step: steps?.[at] }));
}

function axesOf(call: NodeCall, count: number): readonly number[] | undefined {
  const given = numbersOf(call, 3, 'axes');
  if (given !== undefined || call.inputs[3] !== undefined || count === 0) return given;
  return Array.from({ length: count }, (_, at) => at);
}

type Cut = { readonly start: number | undefined; readonly end: Size | undefined; readonly step: number | undefined };

function isWhole({ start, end, step }: Cut, dim: Size | undefined): boolean {
  return start === 0 && step === 1 && (isSameSize(end, dim) || (numberOf(end) ?? 0) >= farAway);
}

function lengthOf({ start, end, step }: Cut, dim: Size | undefined): Size | undefined {
  if (isWhole({ start, end, step }, dim)) return dim;
  const [size, last] = [numberOf(dim), numberOf(end)];
  if (start === 0 && step === 1 && last === undefined) return end;
  if (start === undefined || step !== 1 || size === undefined || last === undefined) return undefined;
  const at = (position: number): number => Math.min(size, Math.max(0, position < 0 ? position + size : position));
  return numberSize(Math.max(0, at(last) - at(start)));
}

/** True if no input after the first depends on the rows' content. For Slice, these inputs are the positions of cuts. */
function othersArePlainSizes(call: NodeCall): boolean {
  return call.inputs.every((value, at) => at === 0 || value === undefined || value.kind === 'Plain');
}

export const pad: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  const pads = numbersOf(call, 1, attributeOf(call, 'paddings') === undefined ? 'pads' : 'paddings');
  if (value === undefined || pads === undefined || call.inputs[3] !== undefined || !othersArePlain(call, 0))
    return unsure(call);
  const rank = value.dims.length;
  if (pads[value.axis] !== 0 || pads[value.axis + rank] !== 0) return joins(call, 'pads the row axis');
  return sameRows(
    value,
    value.dims.map((dim, axis) => {
      const size = numberOf(dim);
      const more = (pads[axis] ?? 0) + (pads[axis + rank] ?? 0);
      return more === 0 ? dim : size === undefined ? call.fresh() : numberSize(size + more);
    }),
  );
};

export const tile: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  const repeats = sizesOf(call, 1);
  if (value === undefined || !isOne(repeats?.[value.axis])) return unsure(call, 'it may repeat the rows');
  if (countsElsewhere(call, 1)) return unsure(call, countsRows);
  return sameRows(
    value,
    value.dims.map((dim, axis) => (isOne(repeats?.[axis]) ? dim : call.fresh())),
  );
};

export const expand: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  const target = sizesOf(call, 1);
  if (value === undefined || target === undefined) return unsure(call, 'its output shape is unknown');
  const rank = Math.max(target.length, value.dims.length);
  const axis = value.axis + rank - value.dims.length;
  // If the target has fewer axes than the value, the value's leading axes keep their sizes.
  const wanted = axis < rank - target.length ? one : target[axis - (rank - target.length)];
  if (!isOne(wanted) && !isSameSize(wanted, value.dims[value.axis])) return unsure(call, 'it may repeat the rows');
  if (countsElsewhere(call, 1, axis - (rank - target.length))) return unsure(call, countsRows);
  const dims = Array.from(
    { length: rank },
    (_, at) =>
      widened(value.dims[at - (rank - value.dims.length)], target[at - (rank - target.length)]) ?? call.fresh(),
  );
  return { kind: 'Rows', axis, dims };
};

function widened(own: Size | undefined, target: Size | undefined): Size | undefined {
  return own === undefined || isOne(own) ? target : own;
}

export const gather: RowsRule = (call) => {
  const [data, indices] = call.inputs;
  if (data?.kind === 'Rows' && indices?.kind === 'Plain') return gatherFromRows(call, data, indices.dims);
  return data?.kind === 'Plain' && indices?.kind === 'Rows' ? gatherByRows(call, data, indices) : unsure(call);
};

/** A table lookup: the rows of the result are on the axis that holds the rows of the indices. */
function gatherByRows(call: NodeCall, { dims, countsRows }: PlainValue, indices: RowsValue): Value {
  if (countsRows || dims === undefined) return unsure(call);
  const axis = axisOf(intOf(call, 'axis', 0), dims.length);
  return {
    kind: 'Rows',
    axis: axis + indices.axis,
    dims: [...dims.slice(0, axis), ...indices.dims, ...dims.slice(axis + 1)],
  };
}

function gatherFromRows(call: NodeCall, data: RowsValue, indices: readonly Size[] | undefined): Value {
  const axis = axisOf(intOf(call, 'axis', 0), data.dims.length);
  if (axis === data.axis) return joins(call, 'takes only some of the rows');
  if (countsElsewhere(call, 1)) return unsure(call, countsRows);
  if (indices === undefined || indices.some(hasRows)) return unsure(call);
  const dims = [...data.dims.slice(0, axis), ...indices, ...data.dims.slice(axis + 1)];
  return { kind: 'Rows', axis: data.axis > axis ? data.axis + indices.length - 1 : data.axis, dims };
}

/**
 * GatherElements and ScatterElements: all inputs have the same rank, and the operator's axis differs from the rows'
 * axis.
 */
export const elementsAlong: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  if (value === undefined || axisOf(intOf(call, 'axis', 0), value.dims.length) === value.axis) return unsure(call);
  const fits = call.inputs.every(
    (input) =>
      input?.kind === 'Rows' && input.axis === value.axis && isSameSize(input.dims[input.axis], value.dims[value.axis]),
  );
  // The result of GatherElements has the shape of the indices; the result of ScatterElements has the shape of the data.
  const shape = call.node.op === 'GatherElements' ? rowsInput(call, 1) : value;
  return fits ? sameRows(value, (shape ?? value).dims) : unsure(call);
};

export const oneHot: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  if (value === undefined || !othersArePlain(call, 0)) return unsure(call);
  const axis = axisOf(intOf(call, 'axis', -1), value.dims.length + 1);
  return {
    kind: 'Rows',
    axis: value.axis >= axis ? value.axis + 1 : value.axis,
    dims: [...value.dims.slice(0, axis), call.fresh(), ...value.dims.slice(axis)],
  };
};

export const positionwise: RowsRule = (call) => broadcast(call);
