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

/** One place of a row: a token, or the padding behind it (`id` is undefined). */
type Place = { readonly id: number | undefined; readonly at: number };
type Filler = (place: Place, rules: FillRules) => number;

export type FillRules = {
  readonly padId: number;
  /** The position of a row's first token; where it is not 0, padding has the one before it. */
  readonly firstPosition: number;
};

const parts: Readonly<Record<string, Filler>> = {
  input_ids: ({ id }, { padId }) => id ?? padId,
  attention_mask: ({ id }) => (id === undefined ? 0 : 1),
  // Every text is a first sentence.
  token_type_ids: () => 0,
  position_ids: ({ id, at }, { firstPosition }) =>
    id === undefined && firstPosition > 0 ? firstPosition - 1 : firstPosition + at,
};

export type EncoderInputs = {
  readonly specs: readonly TensorSpec[];
  /** Whether rows may be padded: only a mask keeps padding out of the result. */
  readonly takesMask: boolean;
  /** Tokens of every row, for a model that takes no other number of them. */
  readonly fixedLength: number | undefined;
};

/** @throws AppError MODEL_INVALID for a model that is not a text encoder, or needs inputs that a text does not give */
export function encoderInputs(signature: Signature): EncoderInputs {
  const specs = signature.inputs;
  if (!specs.some(({ name }) => name === 'input_ids'))
    throw refuse(`it has no input 'input_ids'; its inputs are ${specs.map(({ name }) => `'${name}'`).join(', ')}`);
  for (const one of specs) checkInput(one);
  const takesMask = specs.some(({ name }) => name === 'attention_mask');
  const lengths = new Set(specs.map(({ dims }) => dims?.[1]).filter((dim) => typeof dim === 'number'));
  const [fixedLength] = lengths;
  if (lengths.size > 1) throw refuse(`its inputs have different lengths: ${[...lengths].join(', ')}`);
  if (fixedLength !== undefined && !takesMask)
    throw refuse(`its inputs have ${fixedLength} tokens each, and no attention_mask says which of them are padding`);
  return { specs, takesMask, fixedLength };
}

function checkInput({ name, type, dims }: TensorSpec): void {
  if (!Object.hasOwn(parts, name))
    throw refuse(
      `its input '${name}' is not one that a text gives (${Object.keys(parts).join(', ')}): export it without, or ` +
        'serve it with task Tensor',
    );
  if (type !== 'int64' && type !== 'int32')
    throw refuse(`its input '${name}' is ${type}, token ids are int64 or int32`);
  if (dims !== undefined && dims.length !== 2)
    throw refuse(`its input '${name}' has rank ${dims.length}, [batch, sequence] has 2`);
}

function refuse(problem: string): AppError {
  return new AppError('MODEL_INVALID', { file: 'the model of task Embedding', problem });
}

/** One tensor an input, [rows of the piece, its length]; rows shorter than that are padded at their end. */
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
