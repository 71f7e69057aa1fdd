/**
 * Joins the outputs of a request that is split into several runs.
 *
 * Owns:   one tensor for each output, allocated for all rows when the first run is added. Each run's output is copied
 *         into that tensor and released, because a request of a few megabytes may be split into tens of thousands of
 *         runs.
 * Throws: REQUEST_INVALID when the runs' outputs cannot be joined, because their shapes or types differ; the errors of
 *         `hold`.
 */
import { AppError } from '../../api/errors.ts';
import { freeBytes } from '../../lib/free-bytes.ts';
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
  /** Rows of the request. */
  readonly rows: number;
  /** Rows of each run; the last run may have fewer. */
  readonly atOnce: number;
  /**
   * Reserves memory for outputs. For an output of numbers, it is called before the memory is allocated. For an output
   * of strings, it is called when the strings of a run arrive. Throws when there is not enough memory.
   */
  readonly hold?: ((bytes: number) => void) | undefined;
};

export class JoinedRows {
  readonly #options: JoinedRowsOptions;
  readonly #whole = new Map<string, Tensor>();

  constructor(options: JoinedRowsOptions) {
    this.#options = options;
  }

  /** The outputs of all rows, after every run was added. */
  get outputs(): NamedTensors {
    return Object.fromEntries(this.#whole);
  }

  /** Adds the outputs of one run. @param from its first row @param count its number of rows */
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
    if (piece.type !== 'string') {
      (whole.data as Uint8Array).set(piece.data as TypedData as Uint8Array, at);
      freeBytes(piece.data);
      return;
    }
    this.#options.hold?.(tensorBytes(piece));
    piece.data.forEach((text, index) => {
      (whole.data as string[])[at + index] = text;
    });
  }

  #misfit(name: string): AppError {
    const { rows, atOnce } = this.#options;
    return new AppError('REQUEST_INVALID', {
      problem:
        `the shape of output '${name}' depends on the rows, so the ${Math.ceil(rows / atOnce)} runs of this request ` +
        `cannot be joined: send at most ${atOnce} rows in one request`,
    });
  }
}
