/**
 * The measured cases: a model, its inputs, and how its requests differ.
 * Terms: a row is the input of one request. A run is one call of ONNX Runtime; it may have the rows of several requests
 * (a batch). A peer is another model server, which is measured for comparison.
 * Owns: the table of the cases, and one row of input for each request of a case.
 * Pure. The rows are made from a seed, so that every server gets the same ones.
 */

import { Random } from '../canary/random.ts';

export type TensorType = 'float32' | 'int64';

export type InputSpec = {
  readonly name: string;
  readonly type: TensorType;
  /** Dimensions of one row. -1 stands for the length of the request, such as its number of tokens. */
  readonly shape: readonly number[];
};

export type OutputSpec = { readonly name: string; readonly shape: readonly number[] };

export type Tensor = {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>;
};

/** The tensors of one request, which has one row. */
export type Row = readonly Tensor[];

/** The files of a model. Cases of one model are measured on the same servers. */
export type ModelName = 'minilm' | 'minilm-text' | 'ocr-det' | 'ocr-rec' | 'silero' | 'mlp-small' | 'mlp-33mb';

export type BenchModel = {
  readonly inputs: readonly InputSpec[];
  readonly outputs: readonly OutputSpec[];
  /**
   * The batch size that is configured in peers that can batch requests: 32 for models that are faster in batches, else
   * 1. Servers that choose their batch size by measurement ignore it.
   */
  readonly peerBatch: 1 | 32;
};

export const caseNames = [
  'mlp-small',
  'mlp-33mb',
  'silero',
  'minilm-16',
  'minilm-32',
  'minilm-128',
  'minilm-mixed',
  'texts',
  'ocr-det',
  'ocr-rec',
] as const;
export type CaseName = (typeof caseNames)[number];

export type BenchCase = {
  readonly model: ModelName;
  /** The lengths of the requests, in turn; empty when the inputs have no free dimension. */
  readonly lengths: readonly number[];
  /** The number of different requests. A case with large requests sends the same request again and again. */
  readonly different: number;
  /** False when rows have different lengths, because they then cannot share a run without padding. */
  readonly canShareRuns: boolean;
};

const ids = ['input_ids', 'attention_mask', 'token_type_ids'];
const encoder: BenchModel = {
  inputs: ids.map((name) => ({ name, type: 'int64', shape: [1, -1] })),
  outputs: [{ name: 'sentence_embedding', shape: [1, 384] }],
  peerBatch: 1,
};
const dense = (width: number): BenchModel => ({
  inputs: [{ name: 'x', type: 'float32', shape: [1, width] }],
  outputs: [{ name: 'y', shape: [1, width] }],
  peerBatch: 32,
});

// prettier-ignore
export const benchModels: Readonly<Record<ModelName, BenchModel>> = {
  'minilm': encoder,
  'minilm-text': encoder,
  'ocr-det': { inputs: [{ name: 'x', type: 'float32', shape: [1, 3, 320, 320] }],
    outputs: [{ name: 'sigmoid_0.tmp_0', shape: [1, 1, 320, 320] }], peerBatch: 1 },
  'ocr-rec': { inputs: [{ name: 'x', type: 'float32', shape: [1, 3, 48, 320] }],
    outputs: [{ name: 'softmax_11.tmp_0', shape: [1, 40, 6625] }], peerBatch: 1 },
  'silero': { inputs: [
      { name: 'input', type: 'float32', shape: [1, 512] },
      { name: 'state', type: 'float32', shape: [2, 1, 128] },
      { name: 'sr', type: 'int64', shape: [] },
    ], outputs: [{ name: 'output', shape: [1, 1] }, { name: 'stateN', shape: [2, 1, 128] }], peerBatch: 1 },
  'mlp-small': dense(64),
  'mlp-33mb': dense(512),
};

/** The lengths of texts from one word to a paragraph: 4 to 128 tokens, with more short texts, as in real traffic. */
const mixedLengths = [8, 16, 12, 128, 24, 6, 48, 20, 96, 10, 32, 4, 64, 14, 28, 40];

// prettier-ignore
export const benchCases: Readonly<Record<CaseName, BenchCase>> = {
  'mlp-small': { model: 'mlp-small', lengths: [], different: 16, canShareRuns: true },
  'mlp-33mb': { model: 'mlp-33mb', lengths: [], different: 16, canShareRuns: true },
  'silero': { model: 'silero', lengths: [], different: 16, canShareRuns: false },
  'minilm-16': { model: 'minilm', lengths: [16], different: 16, canShareRuns: true },
  'minilm-32': { model: 'minilm', lengths: [32], different: 16, canShareRuns: true },
  'minilm-128': { model: 'minilm', lengths: [128], different: 16, canShareRuns: true },
  'minilm-mixed': { model: 'minilm', lengths: mixedLengths, different: 16, canShareRuns: false },
  'texts': { model: 'minilm-text', lengths: [], different: 0, canShareRuns: false },
  'ocr-det': { model: 'ocr-det', lengths: [], different: 1, canShareRuns: true },
  'ocr-rec': { model: 'ocr-rec', lengths: [], different: 1, canShareRuns: true },
};

/** The rows of a case. The case `texts` has texts instead (`rowOfIds` makes their rows). */
export function rowsOf(name: CaseName): readonly Row[] {
  const { model, lengths, different } = benchCases[name];
  const random = new Random(7);
  return Array.from({ length: different }, (_, index) =>
    benchModels[model].inputs.map((spec) => tensorFor(spec, lengths[index % lengths.length] ?? 0, random)),
  );
}

/** The row for the token ids of a text. */
export function rowOfIds(tokens: readonly number[]): Row {
  return encoder.inputs.map(({ name, type }) => ({
    name,
    type,
    shape: [1, tokens.length],
    data: BigInt64Array.from(tokens, (id) => (name === 'input_ids' ? BigInt(id) : name === 'attention_mask' ? 1n : 0n)),
  }));
}

function tensorFor({ name, type, shape }: InputSpec, length: number, random: Random): Tensor {
  const dims = shape.map((dim) => (dim === -1 ? length : dim));
  const count = dims.reduce((product, dim) => product * dim, 1);
  if (type === 'float32')
    return { name, type, shape: dims, data: Float32Array.from({ length: count }, () => random.uniform() - 0.5) };
  return { name, type, shape: dims, data: BigInt64Array.from({ length: count }, () => integerFor(name, random)) };
}

/** A value of an integer input: a random token id, or the constant value of the inputs `sr` (sample rate) and masks. */
function integerFor(name: string, random: Random): bigint {
  if (name === 'sr') return 16_000n;
  if (name === 'attention_mask') return 1n;
  return name === 'token_type_ids' ? 0n : BigInt(1996 + Math.floor(random.uniform() * 20_000));
}
