/**
 * Rules of operators that work along axes: rows stay independent if they lie along another axis. Rows are the items of
 * a run, which may come from different requests. A rule describes the outputs of a node.
 *
 * Pure.
 */
import {
  attributeOf,
  axisOf,
  intOf,
  joins,
  numbersOf,
  othersArePlain,
  rowsInput,
  sameRows,
  unsure,
  type NodeCall,
  type RowsRule,
} from './call.ts';
import { one, type RowsValue, type Value } from './value.ts';

/**
 * ReduceSum and similar. The axes come from an attribute or an input. Without axes, all axes are reduced, or no axis if
 * noop_with_empty_axes is 1.
 */
export const reduce: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  if (value === undefined || !othersArePlain(call, 0)) return unsure(call);
  const asked = numbersOf(call, 1, 'axes');
  if (asked === undefined && call.inputs[1] !== undefined) return unsure(call, 'its axes are unknown');
  const all = asked === undefined || asked.length === 0;
  if (all && intOf(call, 'noop_with_empty_axes', 0) === 1) return sameRows(value);
  const axes = all ? value.dims.map((_, axis) => axis) : asked.map((axis) => axisOf(axis, value.dims.length));
  return reduced(call, value, axes);
};

export const argReduce: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  return value === undefined ? unsure(call) : reduced(call, value, [axisOf(intOf(call, 'axis', 0), value.dims.length)]);
};

/** GlobalAveragePool and similar operators reduce all axes except the first two. */
export const poolAll: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  if (value?.axis !== 0) return unsure(call);
  return sameRows(
    value,
    value.dims.map((dim, axis) => (axis < 2 ? dim : one)),
  );
};

function reduced(call: NodeCall, value: RowsValue, axes: readonly number[]): Value {
  if (axes.includes(value.axis)) return joins(call, 'reduces all rows to one value');
  if (intOf(call, 'keepdims', 1) === 1)
    return sameRows(
      value,
      value.dims.map((dim, axis) => (axes.includes(axis) ? one : dim)),
    );
  return {
    kind: 'Rows',
    axis: value.axis - axes.filter((axis) => axis < value.axis).length,
    dims: value.dims.filter((_, axis) => !axes.includes(axis)),
  };
}

/**
 * Since operator set 13, Softmax works along one axis. In older operator sets it works over all axes from the given
 * axis on.
 */
export const softmax: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  if (value === undefined) return unsure(call);
  const axis = axisOf(intOf(call, 'axis', call.opset >= 13 ? -1 : 1), value.dims.length);
  const touches = call.opset >= 13 ? value.axis === axis : value.axis >= axis;
  return touches ? joins(call) : sameRows(value);
};

/**
 * LayerNormalization and similar work over all axes from the given axis on. Scale and bias are the same for all rows.
 */
export const normalise: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  if (value === undefined || !othersArePlain(call, 0)) return unsure(call);
  return value.axis >= axisOf(intOf(call, 'axis', -1), value.dims.length)
    ? joins(call)
    : [sameRows(value), unsure(call), unsure(call)];
};

/** An operator that works along one axis, which is given by an attribute with the default `otherwise`. */
export function along(attribute: string, otherwise: number): RowsRule {
  return (call) => {
    const value = rowsInput(call, 0);
    if (value === undefined || !othersArePlain(call, 0)) return unsure(call);
    return value.axis === axisOf(intOf(call, attribute, otherwise), value.dims.length) ? joins(call) : sameRows(value);
  };
}

/** An operator that works along one axis, which is given by its second input. */
export const cumSum: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  const [axis] = numbersOf(call, 1) ?? [];
  if (value === undefined || axis === undefined) return unsure(call);
  return value.axis === axisOf(axis, value.dims.length) ? joins(call) : sameRows(value);
};

export const topK: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  if (value === undefined || !othersArePlain(call, 0)) return unsure(call);
  const axis = axisOf(intOf(call, 'axis', -1), value.dims.length);
  if (value.axis === axis) return joins(call, 'selects among the rows');
  const [wanted] = numbersOf(call, 1, 'k') ?? [];
  const out = sameRows(
    value,
    value.dims.map((dim, at) =>
      at === axis ? (wanted === undefined ? call.fresh() : { factor: wanted, free: [] }) : dim,
    ),
  );
  return [out, out];
};

/**
 * An operator that computes each row separately, with the rows on the first axis. The other sizes of its outputs are
 * unknown.
 */
export function byRow(rank?: number): RowsRule {
  return (call) => {
    const value = rowsInput(call, 0);
    if (value?.axis !== 0 || !othersArePlain(call, 0) || (rank !== undefined && value.dims.length !== rank))
      return unsure(call);
    const size = value.dims[0] ?? call.fresh();
    return call.node.outputs.map(
      () => ({ kind: 'Rows', axis: 0, dims: [size, ...value.dims.slice(1).map(() => call.fresh())] }) as const,
    );
  };
}

/** BatchNormalization computes the statistics of its input only in training mode. */
export const batchNorm: RowsRule = (call) => {
  const value = rowsInput(call, 0);
  if (value === undefined || !othersArePlain(call, 0)) return unsure(call);
  const trains = intOf(call, 'training_mode', 0) === 1 || (call.opset < 7 && attributeOf(call, 'is_test')?.int !== 1);
  if (trains) return joins(call, 'in training mode computes its statistics over all rows');
  return value.axis === 1 ? unsure(call) : sameRows(value);
};
