/**
 * Rules of nodes whose inputs hold no rows (items of requests), only weights, and sizes that a graph computes for the
 * shapes of its tensors. A rule describes the outputs of a node.
 *
 * Owns:  the numbers of short lists of sizes, as far as they can be computed. The numbers of other results are unknown;
 *        such a result may depend on the number of rows (`countsRows`) if any input may. Pure.
 */
import { attributeOf, axisOf, intOf, numbersOf, type NodeCall } from './call.ts';
import {
  hasRows,
  isOne,
  isSameSize,
  numberOf,
  numberSize,
  one,
  over,
  plain,
  product,
  times,
  uniform,
  type PlainValue,
  type Size,
  type Value,
} from './value.ts';

type Numbers = readonly (Size | undefined)[];
type Facts = {
  readonly dims: readonly Size[] | undefined;
  readonly values: Numbers | undefined;
  readonly countsRows: boolean;
};
/** A rule gets the facts of every input that it may use. For an input that the node omits, it gets `nothing`. */
type PlainRule = (call: NodeCall, inputs: readonly Facts[]) => Value | undefined;

const mostInputs = 5;
const nothing: Facts = { dims: undefined, values: undefined, countsRows: false };

function factsOf(value: PlainValue | undefined): Facts {
  return value === undefined ? nothing : { dims: value.dims, values: value.values, countsRows: value.countsRows };
}

function anyCounts(facts: readonly Facts[]): boolean {
  return facts.some(({ countsRows }) => countsRows);
}

/** A result whose numbers are all known counts rows only if its numbers or its shape contain the number of rows. */
function listed(dims: readonly Size[] | undefined, values: Numbers | undefined, countsRows: boolean): Value {
  return plain(dims, values, countsRows && (values === undefined || values.includes(undefined)));
}

/**
 * @param inputs must not have rows or be mixed
 * @returns the node's first output
 */
export function plainResult(call: NodeCall, inputs: readonly (PlainValue | undefined)[]): Value {
  const rule = call.node.domain === '' ? plainRules.get(call.node.op) : undefined;
  const facts = Array.from({ length: Math.max(mostInputs, inputs.length) }, (_, at) => factsOf(inputs[at]));
  return rule?.(call, facts) ?? plain(undefined, undefined, anyCounts(facts));
}

/** The result of `Shape` or `Size`. If the tensor's rank is unknown, the result may contain the number of rows. */
export function sizeOf(call: NodeCall, { dims: all }: { readonly dims?: readonly Size[] | undefined }): Value {
  if (all === undefined) return plain(undefined, undefined, true);
  if (call.node.op === 'Size') return plain([], [product(all)]);
  const dims = all.slice(
    axisOf(intOf(call, 'start', 0), all.length),
    axisOf(intOf(call, 'end', all.length), all.length),
  );
  return plain([numberSize(dims.length)], dims);
}

const same: PlainRule = (_, [value = nothing]) => plain(value.dims, value.values, value.countsRows);

/** Rounding does not change sizes, which are integers. The result for a fraction is unknown. */
const whole: PlainRule = (_, [value = nothing]) =>
  listed(
    value.dims,
    value.values?.map((size) => (size === undefined || Number.isInteger(size.factor) ? size : undefined)),
    value.countsRows,
  );

/** Types that represent sizes exactly (float: up to 2^24). Codes of onnx.proto: float, int32, int64, double. */
const wideTypes = [1, 6, 7, 11];

const cast: PlainRule = (call, inputs) =>
  wideTypes.includes(intOf(call, 'to', 0)) ? whole(call, inputs) : narrowed(call, inputs);

/** Casts to any other type. Only a cast of a number to a boolean has a known result: 0 or 1. */
const narrowed: PlainRule = (call, [{ dims, values, countsRows } = nothing]) => {
  if (intOf(call, 'to', 0) !== boolCode) return plain(dims, undefined, countsRows || values?.some(hasRows) === true);
  return listed(
    dims,
    values?.map((size) => (numberOf(size) === undefined ? undefined : numberSize(numberOf(size) === 0 ? 0 : 1))),
    countsRows,
  );
};
const boolCode = 9;

const constant: PlainRule = (call) => {
  const tensor = attributeOf(call, 'value')?.tensor;
  if (tensor !== undefined) return plain(tensor.dims.map(numberSize), tensor.values?.map(numberSize));
  return constantList(call) ?? constantNumber(call);
};

function constantList(call: NodeCall): Value | undefined {
  const list = attributeOf(call, 'value_ints')?.ints ?? attributeOf(call, 'value_floats')?.floats;
  return list === undefined ? undefined : plain([numberSize(list.length)], list.map(numberSize));
}

function constantNumber(call: NodeCall): Value | undefined {
  const int = attributeOf(call, 'value_int')?.int;
  if (int !== undefined) return plain([], [numberSize(int)]);
  return attributeOf(call, 'value_float') === undefined ? undefined : plain([]);
}

/** Combines two lists number by number. The lists have equal lengths, or one list has a single number. */
function each(combine: (a: Size, b: Size) => Size | undefined): PlainRule {
  return (_, [a = nothing, b = nothing]) => {
    const dims = broadcastAll([a, b]);
    return listed(
      dims,
      combined([a.values, b.values], dims, (sizes) =>
        sizes.includes(undefined) ? undefined : combine(sizes[0] ?? one, sizes[1] ?? one),
      ),
      anyCounts([a, b]),
    );
  };
}

/** @returns undefined when the numbers of a list are unknown, or when the lengths of the lists do not match */
function combined(
  lists: readonly (Numbers | undefined)[],
  dims: readonly Size[] | undefined,
  combine: (sizes: Numbers) => Size | undefined,
): Numbers | undefined {
  const known = lists.filter((values) => values !== undefined);
  const length = Math.max(0, ...known.map((values) => values.length));
  const beside =
    known.length === lists.length &&
    dims !== undefined &&
    numberOf(product(dims)) === length &&
    known.every((values) => values.length === length || values.length === 1);
  return beside
    ? Array.from({ length }, (_, at) => combine(known.map((values) => values[values.length === 1 ? 0 : at])))
    : undefined;
}

/** @returns undefined when the rank of an input is unknown */
function broadcastAll(facts: readonly Facts[]): readonly Size[] | undefined {
  const dims = facts.map((fact) => fact.dims);
  return dims.every((dim) => dim !== undefined) ? dims.reduce(broadcastDims, []) : undefined;
}

function broadcastDims(a: readonly Size[], b: readonly Size[]): readonly Size[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, at) => {
    const [left, right] = [a[at - (rank - a.length)], b[at - (rank - b.length)]];
    return left === undefined || isOne(left) ? (right ?? left ?? one) : left;
  });
}

function sum(a: Size, b: Size, sign: 1 | -1): Size | undefined {
  if (a.free.join('\n') === b.free.join('\n'))
    return { factor: a.factor + sign * b.factor, free: a.factor + sign * b.factor === 0 ? [] : a.free };
  if (numberOf(b) === 0) return a;
  return numberOf(a) === 0 && sign === 1 ? b : undefined;
}

const equal = each((a, b) => {
  if (isSameSize(a, b)) return one;
  // A size is at least 0, so it differs from a negative number. Other comparisons with a symbolic size are unknown.
  const numbers = [numberOf(a), numberOf(b)];
  return !numbers.includes(undefined) || numbers.some((value) => value !== undefined && value < 0)
    ? numberSize(0)
    : undefined;
});

const where: PlainRule = (_, [condition = nothing, a = nothing, b = nothing]) => {
  const dims = broadcastAll([condition, a, b]);
  const values = combined([condition.values, a.values, b.values], dims, ([chosen, left, right]) =>
    numberOf(chosen) === undefined ? undefined : numberOf(chosen) === 0 ? right : left,
  );
  return listed(dims, values, anyCounts([condition, a, b]));
};

const concat: PlainRule = (call, inputs) => {
  const given = inputs.slice(0, call.inputs.length);
  if (given.some(({ values, dims }) => values === undefined || dims?.length !== 1))
    return plain(undefined, undefined, anyCounts(given));
  const values = given.flatMap((fact) => fact.values ?? []);
  return plain([numberSize(values.length)], values);
};

const gather: PlainRule = (call, [data = nothing, indices = nothing]) => {
  const axis = axisOf(intOf(call, 'axis', 0), data.dims?.length ?? 0);
  const known = data.dims !== undefined && indices.dims !== undefined;
  const dims = known ? [...data.dims.slice(0, axis), ...indices.dims, ...data.dims.slice(axis + 1)] : undefined;
  return listed(dims, gathered(data, indices.values?.map(numberOf)), anyCounts([data, indices]));
};

function gathered(data: Facts, at: readonly (number | undefined)[] | undefined): Numbers | undefined {
  const values = listIn(data);
  return values === undefined ? undefined : at?.map((index) => (index === undefined ? undefined : values.at(index)));
}

const slice: PlainRule = (call, [data = nothing, ...others]) => {
  const [start, end] = [onlyNumber(numbersOf(call, 1, 'starts')), onlyNumber(numbersOf(call, 2, 'ends'))];
  const values =
    start === undefined || end === undefined || stepOf(call) !== 1
      ? undefined
      : listIn(data)?.slice(start, end > 2 ** 30 ? undefined : end);
  return values === undefined ? slicedTable(call, data, others) : plain([numberSize(values.length)], values);
};

function stepOf(call: NodeCall): number | undefined {
  return call.inputs[4] === undefined ? 1 : onlyNumber(numbersOf(call, 4));
}

/** The numbers of a tensor of rank 1. */
function listIn({ dims, values }: Facts): Numbers | undefined {
  return dims?.length === 1 ? values : undefined;
}

function onlyNumber(numbers: readonly number[] | undefined): number | undefined {
  return numbers?.length === 1 ? numbers[0] : undefined;
}

/** A slice of a table, for example of positions. Its length is known if it goes from 0 to a symbolic size. */
function slicedTable(call: NodeCall, { dims, countsRows }: Facts, others: readonly Facts[]): Value {
  const axis = onlyNumber(numbersOf(call, 3, 'axes'));
  const counts = countsRows || anyCounts(others);
  if (dims === undefined || axis === undefined)
    return plain(
      dims?.map(() => call.fresh()),
      undefined,
      counts,
    );
  const size = beginning(call, others[1] ?? nothing);
  return plain(
    dims.map((dim, at) => (at === axisOf(axis, dims.length) ? (size ?? call.fresh()) : dim)),
    undefined,
    counts,
  );
}

/** The length of a slice from 0 to a symbolic end. */
function beginning(call: NodeCall, { values }: Facts): Size | undefined {
  const end = onlyNumber(numbersOf(call, 1)) === 0 ? values?.[0] : undefined;
  return end === undefined || numberOf(end) !== undefined ? undefined : end;
}

const reshape: PlainRule = (call, [data = nothing, shape = nothing]) => {
  if (shape.values === undefined) return plain(undefined, data.values, data.countsRows);
  const isGap = (size: Size | undefined): boolean => size === undefined || numberOf(size) === -1;
  const known = product(shape.values.filter((size): size is Size => size !== undefined && !isGap(size)));
  const only = shape.values.filter(isGap).length === 1;
  const rest = only && data.dims !== undefined ? over(product(data.dims), known) : undefined;
  const dims = shape.values.map((size, at) => (isGap(size) ? rest : numberOf(size) === 0 ? data.dims?.[at] : size));
  return plain(
    dims.map((size) => size ?? call.fresh()),
    data.values,
    data.countsRows,
  );
};

const unsqueeze: PlainRule = (call, [data = nothing]) => {
  const axes = numbersOf(call, 1, 'axes');
  if (data.dims === undefined || axes === undefined) return plain(undefined, data.values, data.countsRows);
  const rank = data.dims.length + axes.length;
  const added = new Set(axes.map((axis) => axisOf(axis, rank)));
  const kept = data.dims.values();
  return plain(
    Array.from({ length: rank }, (_, at) => (added.has(at) ? one : (kept.next().value ?? one))),
    data.values,
    data.countsRows,
  );
};

const squeeze: PlainRule = (call, [data = nothing]) => {
  const rank = data.dims?.length ?? 0;
  const axes = numbersOf(call, 1, 'axes')?.map((axis) => axisOf(axis, rank));
  return plain(
    data.dims?.filter((dim, at) => (axes === undefined ? !isOne(dim) : !axes.includes(at))),
    data.values,
    data.countsRows,
  );
};

const transpose: PlainRule = (call, [{ dims, values, countsRows } = nothing]) => {
  if (dims === undefined) return plain(undefined, undefined, countsRows);
  const order = attributeOf(call, 'perm')?.ints ?? dims.map((_, axis) => axis).toReversed();
  return plain(
    order.map((axis) => dims[axis] ?? one),
    dims.length === 1 ? values : undefined,
    countsRows,
  );
};

/** A tensor that repeats one number. Its shape may contain the number of rows, because all its rows are equal. */
const constantOfShape: PlainRule = (call, [{ values } = nothing]) => {
  const dims = allKnown(values);
  if (dims === undefined) return undefined;
  const made = uniform(dims);
  const count = numberOf(product(dims)) ?? Infinity;
  return made.kind !== 'Plain' || count > 64
    ? made
    : plain(
        dims,
        Array.from({ length: count }, () => numberSize(fillOf(call))),
      );
};

function fillOf(call: NodeCall): number {
  return attributeOf(call, 'value')?.tensor?.values?.[0] ?? 0;
}

function allKnown(values: Numbers | undefined): readonly Size[] | undefined {
  return values === undefined || values.includes(undefined) ? undefined : (values as readonly Size[]);
}

const expand: PlainRule = (_, [data = nothing, shape = nothing]) => {
  const target = allKnown(shape.values);
  if (data.dims === undefined || target === undefined || data.countsRows) return undefined;
  // No axis of `data` has the number of rows, so all rows of the result are copies of the same values.
  return uniform(broadcastDims(data.dims, target));
};

const range: PlainRule = (call, [start = nothing, end = nothing, step = nothing]) => {
  const [from, to, by] = [start, end, step].map(({ values }) => values?.[0]);
  const size = numberOf(from) === 0 && numberOf(by) === 1 ? to : undefined;
  return plain([size ?? call.fresh()], undefined, anyCounts([start, end, step]));
};

const reduceProduct: PlainRule = (_, [{ values } = nothing]) => {
  const sizes = allKnown(values);
  return sizes === undefined ? undefined : plain([], [product(sizes)]);
};

const shaped: PlainRule = ({ inputs }, facts) =>
  plain(broadcastAll(facts.filter((_, at) => inputs[at] !== undefined)), undefined, anyCounts(facts));

/** Element-wise operators. The shapes of their results are followed, but not the numbers. */
const shapedOps = [
  'Sqrt',
  'Exp',
  'Log',
  'Neg',
  'Not',
  'And',
  'Or',
  'Abs',
  'Pow',
  'Sin',
  'Cos',
  'Tanh',
  'Less',
  'LessOrEqual',
  'Greater',
  'GreaterOrEqual',
  'Min',
  'Max',
  'Mod',
  'Reciprocal',
  'Clip',
  'DequantizeLinear',
  'Relu',
  'Sigmoid',
  'Erf',
];

const plainRules: ReadonlyMap<string, PlainRule> = new Map<string, PlainRule>([
  ['Constant', constant],
  ['Identity', same],
  ['Cast', cast],
  ['Shape', (call, [value = nothing]) => sizeOf(call, value)],
  ['Size', (call, [value = nothing]) => sizeOf(call, value)],
  ['Floor', whole],
  ['Ceil', whole],
  ['Add', each((a, b) => sum(a, b, 1))],
  ['Sub', each((a, b) => sum(a, b, -1))],
  ['Mul', each(times)],
  ['Div', each(over)],
  ['Equal', equal],
  ['Where', where],
  ['Concat', concat],
  ['Gather', gather],
  ['Slice', slice],
  ['Reshape', reshape],
  ['Unsqueeze', unsqueeze],
  ['Squeeze', squeeze],
  ['Transpose', transpose],
  ['ConstantOfShape', constantOfShape],
  ['Expand', expand],
  ['Range', range],
  ['ReduceProd', reduceProduct],
  ...shapedOps.map((op) => [op, shaped] as const),
]);
