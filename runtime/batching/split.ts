/**
 * Splits a request of many rows into several runs, and joins their outputs. Only for models with independent rows.
 *
 * Owns:   the number of rows of a run, which depends on the cost of runs, maxBatchSize and memory. The first failed run
 *         ends the request and cancels its runs that have not begun. The queue accepts or refuses a request by its
 *         first run, so that runs of one request do not fill the queue for each other.
 * Limits: at most four runs of one request are queued or in progress at a time, so that a large request leaves room for
 *         other requests.
 */
import { cutRows, rowsOf } from '../engine/rows.ts';
import { elementsOf, makeTensor, type NamedTensors } from '../engine/tensor.ts';
import type { Batcher } from './batcher.ts';
import { JoinedRows } from './joined-rows.ts';
import type { Inference, InferenceRequest, InferenceResult } from './port.ts';

const runsAtOnce = 4;

type SplitBatcher = Pick<Batcher, 'submit' | 'maxRows' | 'workers' | 'costs' | 'room' | 'maxRequestElements'>;

export class RowSplitter implements Inference {
  readonly #batcher: SplitBatcher;
  #splits: boolean;

  /** @param splits whether a request may be split */
  constructor(batcher: SplitBatcher, splits: boolean) {
    this.#batcher = batcher;
    this.#splits = splits;
  }

  get maxRows(): number {
    return this.#batcher.maxRows;
  }

  /** Stops splitting requests. Called when the warm-up found that rows depend on each other. */
  keepWhole(): void {
    this.#splits = false;
  }

  submit(request: InferenceRequest): Promise<InferenceResult> {
    const rows = rowsOf(request.inputs);
    if (!this.#splits || rows === undefined || rows <= 1) return this.#batcher.submit(request);
    const elements = elementsOf(request.inputs);
    const most = this.#rowsOfRun(rows, elements / rows);
    const atOnce = Math.min(most, this.#batcher.room.rowsThatFit(most, (elements / rows) * most));
    // Do not split a request with too many elements: the batcher refuses it.
    if (atOnce >= rows || elements > this.#batcher.maxRequestElements) return this.#batcher.submit(request);
    return this.#runApart(request, rows, atOnce);
  }

  /** Rows of each run. When joining rows gains little, the rows are spread over the workers. */
  #rowsOfRun(rows: number, elementsOfRow: number): number {
    const { rows: bestRows, pays } = this.#batcher.costs.shapeOf(elementsOfRow);
    return Math.min(this.#batcher.maxRows, bestRows, pays ? rows : Math.ceil(rows / this.#batcher.workers));
  }

  async #runApart(request: InferenceRequest, rows: number, atOnce: number): Promise<InferenceResult> {
    const { hold, ...asked } = request;
    const joined = new JoinedRows({ rows, atOnce, hold });
    const times = { queueMs: 0, inferMs: 0, batchRows: 0 };
    const failed = new AbortController();
    const signal = AbortSignal.any([request.signal, failed.signal]);
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < rows) {
        const [from, count] = [next, Math.min(atOnce, rows - next)];
        next += count;
        const inputs = rowsFrom(request.inputs, from, count);
        const result = await this.#batcher.submit({ ...asked, inputs, signal, isRest: from > 0 });
        joined.add(from, count, result.outputs);
        times.queueMs = Math.max(times.queueMs, result.queueMs);
        times.inferMs += result.inferMs;
        times.batchRows = Math.max(times.batchRows, result.batchRows);
      }
    };
    try {
      await Promise.all(Array.from({ length: Math.min(runsAtOnce, Math.ceil(rows / atOnce)) }, lane));
    } catch (error) {
      failed.abort(error);
      throw error;
    }
    return { outputs: joined.outputs, ...times };
  }
}

/**
 * Copies the rows into a new buffer. The new buffer is transferred to a worker; the request's buffer is still needed
 * for the other rows.
 */
function rowsFrom(inputs: NamedTensors, from: number, count: number): NamedTensors {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, whole]) => {
      const tensor = cutRows(whole, from, count);
      return [name, tensor.type === 'string' ? tensor : makeTensor(tensor.type, tensor.dims, tensor.data.slice())];
    }),
  );
}
