/**
 * The answer of a request that runs in pieces, put together as the pieces come.
 *
 * Owns:   one tensor for each output, made for all rows when the first piece comes. A piece is copied to its place and
 *         nothing is kept of it: a request of a few megabytes may run in tens of thousands of pieces.
 * Limits: what all rows take is charged before it is made; strings are charged as they come.
 * Throws: REQUEST_INVALID when a piece does not fit to the others, and what `hold` throws.
 */
import { AppError } from '../../api/errors.ts';
import {
  arrayOf,
  bytesPerElement,
  elementCount,
  makeTensor,
  tensorBytes,
  type NamedTensors,
  type Tensor,
  type TypedData,
} from '../engine/tensor.ts';

export type JoinedRowsOptions = {
  /** Of the request; `atOnce` of them in one piece, the last may have fewer. */
  readonly rows: number;
  readonly atOnce: number;
  /** Told the bytes of outputs. What it throws ends the request. */
  readonly hold?: ((bytes: number) => void) | undefined;
};

export class JoinedRows {
  readonly #options: JoinedRowsOptions;
  readonly #whole = new Map<string, Tensor>();

  constructor(options: JoinedRowsOptions) {
    this.#options = options;
  }

  /** Of all rows, once every piece was added. */
  get outputs(): NamedTensors {
    return Object.fromEntries(this.#whole);
  }

  /** @param from the first row of the piece @param count its rows */
  add(from: number, count: number, outputs: NamedTensors): void {
    for (const [name, piece] of Object.entries(outputs)) {
      const whole = this.#whole.get(name) ?? this.#make(name, piece);
      if (
        piece.type !== whole.type ||
        piece.dims[0] !== count ||
        String(piece.dims.slice(1)) !== String(whole.dims.slice(1))
      )
        throw this.#misfit(name);
      this.#copy(piece, whole, from * elementCount(whole.dims.slice(1)));
    }
  }

  #make(name: string, { type, dims }: Tensor): Tensor {
    const { rows, hold } = this.#options;
    const shape = [rows, ...dims.slice(1)];
    const elements = elementCount(shape);
    hold?.(elements * (bytesPerElement(type) ?? 0));
    const whole = makeTensor(
      type,
      shape,
      type === 'string' ? Array.from({ length: elements }, () => '') : new arrayOf[type](elements),
    );
    this.#whole.set(name, whole);
    return whole;
  }

  #copy(piece: Tensor, whole: Tensor, at: number): void {
    if (piece.type !== 'string') return (whole.data as Uint8Array).set(piece.data as TypedData as Uint8Array, at);
    this.#options.hold?.(tensorBytes(piece));
    piece.data.forEach((text, index) => {
      (whole.data as string[])[at + index] = text;
    });
  }

  #misfit(name: string): AppError {
    const { rows, atOnce } = this.#options;
    return new AppError('REQUEST_INVALID', {
      problem:
        `output '${name}' has another shape for other rows, so that ${Math.ceil(rows / atOnce)} runs of one ` +
        `request cannot be joined: send at most ${atOnce} rows in one request`,
    });
  }
}
