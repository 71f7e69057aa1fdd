/**
 * The rule of each operator for inputs with rows. A model is not batched if an operator without a rule gets an input
 * with rows. The exceptions are If, Shape and Size, which independence.ts handles.
 *
 * Owns:  the table. Keys are operators of ai.onnx; other operators have their domain as a prefix.
 * Terms: a rule describes the outputs of a node. Rows are the items of a run, which may come from different requests;
 *        an input has rows if one of its axes holds one piece for each row.
 * Pure.
 */
import { axisOf, intOf, joins, othersArePlain, unsure, type RowsRule } from './call.ts';
import {
  concat,
  elementsAlong,
  expand,
  flatten,
  gather,
  oneHot,
  pad,
  positionwise,
  reshape,
  slice,
  split,
  squeeze,
  tile,
  transpose,
  unsqueeze,
} from './moves.ts';
import {
  attention,
  convolve,
  einsum,
  embed,
  gemm,
  matMul,
  packedMatMul,
  pool,
  recurrent,
  resize,
  rotate,
  skipNormalise,
} from './products.ts';
import { along, argReduce, batchNorm, byRow, cumSum, normalise, poolAll, reduce, softmax, topK } from './reductions.ts';
import { isOne } from './value.ts';

/** Element-wise operators with any number of inputs. */
const elementwise = [
  'Abs',
  'Acos',
  'Acosh',
  'Add',
  'And',
  'Asin',
  'Asinh',
  'Atan',
  'Atanh',
  'BitShift',
  'BitwiseAnd',
  'BitwiseNot',
  'BitwiseOr',
  'BitwiseXor',
  'Cast',
  'CastLike',
  'Ceil',
  'Celu',
  'Clip',
  'Cos',
  'Cosh',
  'Div',
  'Elu',
  'Equal',
  'Erf',
  'Exp',
  'Floor',
  'Gelu',
  'Greater',
  'GreaterOrEqual',
  'HardSigmoid',
  'HardSwish',
  'Identity',
  'IsInf',
  'IsNaN',
  'LeakyRelu',
  'Less',
  'LessOrEqual',
  'Log',
  'Max',
  'Mean',
  'Min',
  'Mish',
  'Mod',
  'Mul',
  'Neg',
  'Not',
  'Or',
  'PRelu',
  'Pow',
  'Reciprocal',
  'Relu',
  'Round',
  'Selu',
  'Shrink',
  'Sigmoid',
  'Sign',
  'Sin',
  'Sinh',
  'Softplus',
  'Softsign',
  'Sqrt',
  'Sub',
  'Sum',
  'Swish',
  'Tan',
  'Tanh',
  'ThresholdedRelu',
  'Where',
  'Xor',
  'com.microsoft.BiasGelu',
  'com.microsoft.FastGelu',
  'com.microsoft.Gelu',
  'com.microsoft.QLinearAdd',
  'com.microsoft.QLinearLeakyRelu',
  'com.microsoft.QLinearMul',
  'com.microsoft.QLinearSigmoid',
  'com.microsoft.QuickGelu',
  'ai.onnx.ml.Binarizer',
  'ai.onnx.ml.CategoryMapper',
  'ai.onnx.ml.LabelEncoder',
] as const;

const reductions = ['L1', 'L2', 'LogSum', 'LogSumExp', 'Max', 'Mean', 'Min', 'Prod', 'Sum', 'SumSquare'] as const;

/** Operators on a table [rows, features] that compute one result for each row. */
const ofTables = [
  'ArrayFeatureExtractor',
  'Imputer',
  'LinearClassifier',
  'LinearRegressor',
  'Normalizer',
  'OneHotEncoder',
  'SVMClassifier',
  'SVMRegressor',
  'Scaler',
  'TreeEnsemble',
  'TreeEnsembleClassifier',
  'TreeEnsembleRegressor',
  'ZipMap',
] as const;

/**
 * Operators that mix rows, operators whose output length depends on the values, and operators on sequences. The text
 * follows the operator's name in the message.
 */
const joining: Readonly<Record<string, string>> = {
  DynamicQuantizeLinear: 'scales by the largest value of all rows',
  'com.microsoft.DynamicQuantizeMatMul': 'scales by the largest value of all rows',
  'com.microsoft.DynamicQuantizeLSTM': 'scales by the largest value of all rows',
  NonZero: 'returns the positions of all rows in one list',
  Unique: 'compares the rows with each other',
  Compress: 'has an output length that depends on the values',
  NonMaxSuppression: 'returns the boxes of all rows in one list',
  Det: 'combines values along axes that may include the row axis',
  SequenceEmpty: 'produces a sequence',
  ConcatFromSequence: 'joins a sequence',
  SplitToSequence: 'produces a sequence',
  MeanVarianceNormalization: 'normalises over all rows by default',
};

/**
 * The scale and the zero point of quantisation must be the same for all rows: one value for the whole tensor, or values
 * along an axis other than the rows' axis.
 */
const quantise: RowsRule = (call) => {
  const [value, scale] = call.inputs;
  if (value?.kind !== 'Rows' || !othersArePlain(call, 0)) return unsure(call);
  const sizes = scale?.kind === 'Plain' ? scale.dims : undefined;
  if (sizes === undefined || sizes.length > 1) return unsure(call);
  const byRows = axisOf(intOf(call, 'axis', 1), value.dims.length) === value.axis && !sizes.every(isOne);
  if (byRows)
    return unsure(
      call,
      'an input that does not carry rows has a size other than 1 on the axis where other inputs have their rows',
    );
  return { kind: 'Rows', axis: value.axis, dims: value.dims };
};

const dropout: RowsRule = (call) => {
  const trains = call.inputs[2];
  const off = trains === undefined || (trains.kind === 'Plain' && trains.values?.[0]?.factor === 0);
  return off && call.inputs[0] !== undefined
    ? [call.inputs[0], unsure(call)]
    : joins(call, 'in training mode draws random numbers');
};

/** Operators that move or combine values within a row, such as DepthToSpace, with the rows on the first axis. */
const withinRow: RowsRule = (call) => {
  const [value] = call.inputs;
  if (value?.kind !== 'Rows' || value.axis !== 0 || !othersArePlain(call, 0)) return unsure(call);
  return { kind: 'Rows', axis: 0, dims: value.dims.map((dim, axis) => (axis === 0 ? dim : call.fresh())) };
};

/** Trilu takes the triangle of the last two axes. */
const triangle: RowsRule = (call) => {
  const [value] = call.inputs;
  if (value?.kind !== 'Rows' || !othersArePlain(call, 0)) return unsure(call);
  return value.axis < value.dims.length - 2 ? value : joins(call);
};

const perInstance: RowsRule = (call) => {
  const [value] = call.inputs;
  return value?.kind === 'Rows' && value.axis === 0 && othersArePlain(call, 0) ? value : unsure(call);
};

export const rules: ReadonlyMap<string, RowsRule> = new Map<string, RowsRule>([
  ...elementwise.map((op) => [op, positionwise] as const),
  ...reductions.map((op) => [`Reduce${op}`, reduce] as const),
  ...ofTables.map((op) => [`ai.onnx.ml.${op}`, byRow(2)] as const),
  ...Object.entries(joining).map(([op, how]) => [op, ((call) => joins(call, how)) satisfies RowsRule] as const),
  ['ArgMax', argReduce],
  ['ArgMin', argReduce],
  ['Softmax', softmax],
  ['LogSoftmax', softmax],
  ['Hardmax', softmax],
  ['LpNormalization', along('axis', -1)],
  ['CumSum', cumSum],
  ['TopK', topK],
  ['LayerNormalization', normalise],
  ['SimplifiedLayerNormalization', normalise],
  ['RMSNormalization', normalise],
  ['BatchNormalization', batchNorm],
  ['InstanceNormalization', perInstance],
  ['GroupNormalization', perInstance],
  ['LRN', perInstance],
  ['GlobalAveragePool', poolAll],
  ['GlobalMaxPool', poolAll],
  ['GlobalLpPool', poolAll],
  ['AveragePool', pool],
  ['MaxPool', pool],
  ['LpPool', pool],
  ['Conv', convolve],
  ['ConvTranspose', convolve],
  ['ConvInteger', convolve],
  ['QLinearConv', convolve],
  ['com.microsoft.FusedConv', convolve],
  ['Resize', resize],
  ['Upsample', resize],
  ['MatMul', matMul()],
  ['MatMulInteger', matMul()],
  ['QLinearMatMul', matMul([0, 3])],
  ['com.microsoft.FusedMatMul', matMul()],
  ['com.microsoft.MatMulIntegerToFloat', matMul()],
  ['Gemm', gemm],
  ['Einsum', einsum],
  ['LSTM', recurrent],
  ['GRU', recurrent],
  ['RNN', recurrent],
  ['com.microsoft.Attention', attention],
  ['com.microsoft.MultiHeadAttention', attention],
  ['com.microsoft.EmbedLayerNormalization', embed],
  ['com.microsoft.SkipLayerNormalization', skipNormalise],
  ['com.microsoft.SkipSimplifiedLayerNormalization', skipNormalise],
  ['com.microsoft.RotaryEmbedding', rotate],
  ['com.microsoft.MatMulNBits', packedMatMul],
  ['com.microsoft.QLinearGlobalAveragePool', withinRow],
  ['com.microsoft.QLinearAveragePool', withinRow],
  ['Trilu', triangle],
  ['QuantizeLinear', quantise],
  ['DequantizeLinear', quantise],
  ['Dropout', dropout],
  ['Transpose', transpose],
  ['Reshape', reshape],
  ['Flatten', flatten],
  ['Squeeze', squeeze],
  ['Unsqueeze', unsqueeze],
  ['Concat', concat],
  ['Split', split],
  ['Slice', slice],
  ['Pad', pad],
  ['Tile', tile],
  ['Expand', expand],
  ['Gather', gather],
  ['GatherElements', elementsAlong],
  ['ScatterElements', elementsAlong],
  ['OneHot', oneHot],
  ['DepthToSpace', withinRow],
  ['SpaceToDepth', withinRow],
]);
