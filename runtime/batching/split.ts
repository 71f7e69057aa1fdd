/**
 * Runs a request of many rows as several runs, and puts the answer together again.
 *
 * Owns:   where a request is cut: at the plan's rows of one run, and at what memory holds.
 * Limits: four runs of one request are in the queue at a time, so that a long request leaves room for others. Only for
 *         models whose rows do not influence each other; any other request runs whole.
 * Ends:   the first run that fails ends the request and calls off the others.
 */
import { AppError } from '../../api/errors.ts';
import { joinRows, rowsOf, splitRows } from '../engine/rows.ts';
import { elementCount, makeTensor, type NamedTensors, type Tensor } from '../engine/tensor.ts';
import type { Batcher } from './batcher.ts';
import type { Inference, InferenceRequest, InferenceResult } from './port.ts';

const runsAtOnce = 4;

export class RowSplitter implements Inference {
  readonly #batcher: Pick<Batcher, 'submit' | 'maxRows' | 'room' | 'maxRequestElements'>;
  #splits: boolean;

  /** @param splits whether rows of one request may run apart */
  constructor(batcher: Pick<Batcher, 'submit' | 'maxRows' | 'room' | 'maxRequestElements'>, splits: boolean) {
    this.#batcher = batcher;
    this.#splits = splits;
  }

  get maxRows(): number {
    return this.#batcher.maxRows;
  }

  /** From now on every request runs whole: rows turned out to depend on each other. */
  keepWhole(): void {
    this.#splits = false;
  }

  submit(request: InferenceRequest): Promise<InferenceResult> {
    const rows = rowsOf(request.inputs);
    if (!this.#splits || rows === undefined || rows <= 1) return this.#batcher.submit(request);
    const elements = Object.values(request.inputs).reduce((sum, { dims }) => sum + elementCount(dims), 0);
    const atOnce = Math.min(rows, this.#batcher.maxRows, this.#batcher.room.rowsThatFit(Math.min(rows, this.#batcher.maxRows), (elements / rows) * Math.min(rows, this.#batcher.maxRows)));
    // One that is over the limit of elements is refused as a whole.
    if (atOnce >= rows || elements > this.#batcher.maxRequestElements) return this.#batcher.submit(request);
    return this.#runApart(request, rows, atOnce);
  }

  async #runApart(request: InferenceRequest, rows: number, atOnce: number): Promise<InferenceResult> {
    const counts = Array.from({ length: Math.ceil(rows / atOnce) }, (_, part) => Math.min(atOnce, rows - part * atOnce));
    const pieces = splitRows(request.inputs, counts) ?? [request.inputs];
    const results: InferenceResult[] = [];
    const failed = new AbortController();
    const signal = AbortSignal.any([request.signal, failed.signal]);
    const waiting = pieces.entries();
    // Each lane takes the next piece when its last is done; the iterator is shared.
    const lane = async (): Promise<void> => {
      for (const [part, piece] of waiting) results[part] = await this.#batcher.submit({ ...request, inputs: ownRows(piece), signal });
    };
    try {
      await Promise.all(Array.from({ length: Math.min(runsAtOnce, pieces.length) }, lane));
    } catch (error) {
      failed.abort(error);
      throw error;
    }
    return joined(results, counts);
  }
}

/** A piece is a view of the request's buffer; what is handed to a worker has to be its own. */
function ownRows(piece: NamedTensors): NamedTensors {
  return Object.fromEntries(Object.entries(piece).map(([name, tensor]) => [name, tensor.type === 'string' ? tensor : makeTensor(tensor.type, tensor.dims, tensor.data.slice())]));
}

/** @throws AppError REQUEST_INVALID when the runs' outputs do not go together */
function joined(results: readonly InferenceResult[], counts: readonly number[]): InferenceResult {
  const outputs = results.map((result) => result.outputs);
  for (const name of Object.keys(outputs[0] ?? {})) {
    const shapes = new Set(outputs.map((output, part) => shapeOf(output[name], counts[part] ?? 0)));
    if (shapes.size > 1) throw new AppError('REQUEST_INVALID', { problem: `output '${name}' has another shape for other rows, so that ${counts.length} runs of one request cannot be joined: send at most ${counts[0] ?? 1} rows in one request` });
  }
  return {
    outputs: joinRows(outputs),
    queueMs: Math.max(...results.map(({ queueMs }) => queueMs)),
    inferMs: results.reduce((sum, { inferMs }) => sum + inferMs, 0),
    batchRows: Math.max(...results.map(({ batchRows }) => batchRows)),
  };
}

function shapeOf(tensor: Tensor | undefined, rows: number): string {
  return `${tensor?.type ?? ''}:${tensor?.dims[0] === rows ? 'rows' : 'other'}:${tensor?.dims.slice(1).join(',') ?? ''}`;
}
