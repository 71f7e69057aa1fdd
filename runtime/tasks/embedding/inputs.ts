/**
 * Maps an encoder's inputs to their roles, and builds the tensors of one piece of a request: the rows that run
 * together. A row is one text as token ids.
 *
 * Owns:  the role of each input of the model, by the usual names that exporters give.
 * Pure.
 */
import { AppError } from '../../../api/errors.ts';
import type { Signature, TensorSpec } from '../../engine/signature.ts';
import type { NamedTensors } from '../../engine/tensor.ts';
import type { Piece } from './pieces.ts';
import { rowOf, type TokenRows } from './read-request.ts';

/** One position of a row: a token, or padding after the tokens (`id` is undefined). */
type Place = { readonly id: number | undefined; readonly at: number };
type Filler = (place: Place, rules: FillRules) => number;

export type FillRules = {
  readonly padId: number;
  /**
   * The position id of a row's first token. If it is above 0, padding gets the position id `firstPosition - 1`.
   * If it is 0, padding is numbered on from the tokens.
   */
  readonly firstPosition: number;
};

const parts: Readonly<Record<string, Filler>> = {
  input_ids: ({ id }, { padId }) => id ?? padId,
  attention_mask: ({ id }) => (id === undefined ? 0 : 1),
  // Type 0 marks the first text of a pair. Here, a text is never part of a pair.
  token_type_ids: () => 0,
  position_ids: ({ id, at }, { firstPosition }) =>
    id === undefined && firstPosition > 0 ? firstPosition - 1 : firstPosition + at,
};

export type EncoderInputs = {
  readonly specs: readonly TensorSpec[];
  /**
   * True if the model takes an attention mask. Otherwise rows must not be padded: only a mask keeps padding out of the
   * result.
   */
  readonly takesMask: boolean;
  /** Tokens of every row, if the model accepts only one number of tokens; otherwise undefined. */
  readonly fixedLength: number | undefined;
};

/** @throws AppError MODEL_INVALID for a model that is not a text encoder, or has inputs that a text cannot provide */
export function encoderInputs(signature: Signature): EncoderInputs {
  const specs = signature.inputs;
  if (!specs.some(({ name }) => name === 'input_ids'))
    throw refuse(
      `it does not have the input 'input_ids'; its inputs are ${specs.map(({ name }) => `'${name}'`).join(', ')}`,
    );
  for (const one of specs) checkInput(one);
  const takesMask = specs.some(({ name }) => name === 'attention_mask');
  const lengths = new Set(specs.map(({ dims }) => dims?.[1]).filter((dim) => typeof dim === 'number'));
  const [fixedLength] = lengths;
  if (lengths.size > 1) throw refuse(`its inputs have different lengths: ${[...lengths].join(', ')}`);
  if (fixedLength !== undefined && !takesMask)
    throw refuse(`its inputs always have ${fixedLength} tokens, but it has no input attention_mask to mark padding`);
  return { specs, takesMask, fixedLength };
}

function checkInput({ name, type, dims }: TensorSpec): void {
  if (!Object.hasOwn(parts, name))
    throw refuse(
      `its input '${name}' cannot be made from a text (${Object.keys(parts).join(', ')} can): export it without that ` +
        'input, or serve it with task Tensor',
    );
  if (type !== 'int64' && type !== 'int32')
    throw refuse(`its input '${name}' is ${type}, but token ids are int64 or int32`);
  if (dims !== undefined && dims.length !== 2)
    throw refuse(`its input '${name}' has rank ${dims.length}, but [batch, sequence] has 2`);
}

function refuse(problem: string): AppError {
  return new AppError('MODEL_INVALID', { file: 'the model of task Embedding', problem });
}

/** One tensor per input, with the shape [rows of the piece, tokens per row]; shorter rows are padded at their end. */
export function pieceInputs(
  { specs, fixedLength }: EncoderInputs,
  tokens: TokenRows,
  piece: Piece,
  rules: FillRules,
): NamedTensors {
  const length = fixedLength ?? piece.length;
  return Object.fromEntries(
    specs.map(({ name, type }) => {
      const dims = [piece.rows.length, length];
      const fill = parts[name] ?? ((): number => 0);
      const values = fillRows(tokens, { rows: piece.rows, length }, (place) => fill(place, rules));
      return [
        name,
        type === 'int64'
          ? { type, dims, data: BigInt64Array.from(values, BigInt) }
          : { type: 'int32', dims, data: values },
      ];
    }),
  );
}

function fillRows(
  tokens: TokenRows,
  { rows, length }: Piece,
  valueOf: (place: Place) => number,
): Int32Array<ArrayBuffer> {
  const values = new Int32Array(rows.length * length);
  rows.forEach((row, index) => {
    const ids = rowOf(tokens, row);
    for (let at = 0; at < length; at += 1) values[index * length + at] = valueOf({ id: ids[at], at });
  });
  return values;
}
