/**
 * What an encoder takes, and the tensors of one piece of a request for it.
 *
 * Owns:  which of the model's inputs plays which part, by the names that exporters agree on.
 * Pure.
 */
import { AppError } from '../../../api/errors.ts';
import type { Signature, TensorSpec } from '../../engine/signature.ts';
import type { NamedTensors } from '../../engine/tensor.ts';
import type { Piece } from './pieces.ts';
import { rowOf, type TokenRows } from './read-request.ts';

/** The value of one position: a token of the row, or the padding behind it (`id` is undefined). */
type Filler = (id: number | undefined, padId: number) => number;

const parts: Readonly<Record<string, Filler>> = {
  input_ids: (id, padId) => id ?? padId,
  attention_mask: (id) => (id === undefined ? 0 : 1),
  // Every text is a first sentence.
  token_type_ids: () => 0,
};

export type EncoderInputs = {
  readonly specs: readonly TensorSpec[];
  /** Whether rows may be padded: only a mask keeps padding out of the result. */
  readonly takesMask: boolean;
};

/** @throws AppError MODEL_INVALID for a model that is no text encoder */
export function encoderInputs(signature: Signature): EncoderInputs {
  const refuse = (problem: string): AppError => new AppError('MODEL_INVALID', { file: 'the model of task Embedding', problem });
  const specs = signature.inputs;
  if (!specs.some(({ name }) => name === 'input_ids')) throw refuse(`it has no input 'input_ids'; its inputs are ${specs.map(({ name }) => `'${name}'`).join(', ')}`);
  for (const { name, type, dims } of specs) {
    if (!Object.hasOwn(parts, name)) throw refuse(`nothing is known to feed its input '${name}' with; known are ${Object.keys(parts).join(', ')}`);
    if (type !== 'int64' && type !== 'int32') throw refuse(`its input '${name}' is ${type}, token ids are int64 or int32`);
    if (dims !== undefined && dims.length !== 2) throw refuse(`its input '${name}' has rank ${dims.length}, [batch, sequence] has 2`);
  }
  return { specs, takesMask: specs.some(({ name }) => name === 'attention_mask') };
}

/** One tensor an input, [rows of the piece, its length]; rows shorter than that are padded at their end. */
export function pieceInputs({ specs }: EncoderInputs, tokens: TokenRows, piece: Piece, padId: number): NamedTensors {
  return Object.fromEntries(specs.map(({ name, type }) => {
    const dims = [piece.rows.length, piece.length];
    const fill = parts[name] ?? ((): number => 0);
    const values = fillRows(tokens, piece, (id) => fill(id, padId));
    return [name, type === 'int64' ? { type, dims, data: BigInt64Array.from(values, BigInt) } : { type: 'int32', dims, data: values }];
  }));
}

function fillRows(tokens: TokenRows, { rows, length }: Piece, valueOf: (id: number | undefined) => number): Int32Array<ArrayBuffer> {
  const values = new Int32Array(rows.length * length);
  rows.forEach((row, index) => {
    const ids = rowOf(tokens, row);
    for (let at = 0; at < length; at += 1) values[index * length + at] = valueOf(ids[at]);
  });
  return values;
}
