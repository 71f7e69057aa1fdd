/**
 * The common shape of the requests of a batch, for the mailbox: memory that the pool and a worker share.
 *
 * Owns:  whether a batch can be laid out as rows one after the other: numbers only, and equal names, types and
 *        dimensions except the first.
 * Pure.
 */
import type { EngineBatch } from './port.ts';
import { arrayOf, type NamedTensors, type Tensor, type TensorOf } from './tensor.ts';

export type FlatTensor = {
  readonly name: string;
  readonly type: keyof typeof arrayOf;
  readonly dims: readonly number[];
};

export type FlatLayout = {
  /** The first dimension is replaced by -1, except for a single request whose inputs have different numbers of rows. */
  readonly inputs: readonly FlatTensor[];
  /** Rows of each request; [0] for a single request whose inputs have different numbers of rows. */
  readonly rows: readonly number[];
  /** Bytes of all inputs. */
  readonly bytes: number;
};

type NumericTensor = Exclude<Tensor, TensorOf<'string'>>;

/** @returns undefined when the batch has strings, or requests of different shapes */
export function layoutOf({ parts }: EngineBatch): FlatLayout | undefined {
  const [first] = parts;
  if (first === undefined) return undefined;
  const names = Object.keys(first);
  const rows: number[] = [];
  let bytes = 0;
  for (const part of parts) {
    const size = sizeOf(part, first, names);
    if (size === undefined || (size.rows === 0 && parts.length > 1)) return undefined;
    rows.push(size.rows);
    bytes += size.bytes;
  }
  const whole = rows.length === 1 && rows[0] === 0;
  const inputs = names.map((name) => {
    const { type, dims } = first[name] as Tensor;
    return { name, type: type as FlatTensor['type'], dims: whole ? dims : [-1, ...dims.slice(1)] };
  });
  return { inputs, rows, bytes };
}

/** A text that is equal for layouts with the same inputs and outputs. */
export function layoutKey({ inputs }: FlatLayout, outputs: readonly string[]): string {
  let key = outputs.join('\0');
  for (const { name, type, dims } of inputs) key += `\0\0${name}\0${type}${dims.join()}`;
  return key;
}

/**
 * @returns `rows` 0 when the inputs have different numbers of rows; undefined when types or shapes differ from `first`
 */
function sizeOf(
  part: NamedTensors,
  first: NamedTensors,
  names: readonly string[],
): { readonly rows: number; readonly bytes: number } | undefined {
  if (part !== first && Object.keys(part).length !== names.length) return undefined;
  let rows: number | undefined;
  let bytes = 0;
  for (const name of names) {
    const tensor = part[name];
    if (!isLike(tensor, first[name])) return undefined;
    bytes += tensor.data.byteLength;
    const own = tensor.dims[0] ?? 0;
    rows = (rows ?? own) === own ? own : 0;
  }
  return { rows: rows ?? 0, bytes };
}

/** Whether the tensor has numbers, and the type and dimensions of `other` except the first dimension. */
function isLike(tensor: Tensor | undefined, other: Tensor | undefined): tensor is NumericTensor {
  if (tensor === undefined || tensor.type === 'string') return false;
  if (tensor === other) return true;
  if (tensor.type !== other?.type || tensor.dims.length !== other.dims.length) return false;
  for (let axis = 1; axis < tensor.dims.length; axis += 1) if (tensor.dims[axis] !== other.dims[axis]) return false;
  return true;
}
