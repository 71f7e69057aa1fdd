/**
 * The production engine: worker threads with one session of ONNX Runtime each.
 *
 * Owns:  the workers' lifecycle: start, replacement after a failure in JavaScript, recycling to free memory, release on
 *        close. A worker runs one batch at a time. A crash in native code ends the process.
 * Ends:  close() waits for running batches. No worker is terminated during a run, because this would abort the
 *        process. A process that must end during a run kills itself (native-work.ts).
 */
import { Worker } from 'node:worker_threads';
import { AppError } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import { freeBuffer } from '../../lib/free-bytes.ts';
import type { Logger } from '../../lib/log.ts';
import { backoffMs } from '../../lib/retry.ts';
import { loadWords } from './load-words.ts';
import { beginNativeWork } from './native-work.ts';
import { MailboxSender } from './mailbox.ts';
import {
  buffersOf,
  resultInMailbox,
  shareOutputs,
  type FromWorker,
  type ToWorker,
  type WorkerTask,
} from './messages.ts';
import type { Engine, EngineBatch, EngineResult, StepResult } from './port.ts';
import { SlotSequences } from './sequences.ts';
import type { NamedTensors } from './tensor.ts';

export type PoolDeps = {
  /** The model's name, for error messages. */
  readonly model: string;
  readonly workers: number;
  readonly task: WorkerTask;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Limit of the state of all sequences, in bytes. Without it, a sequence that keeps state cannot be opened. */
  readonly stateBytes?: number;
  /** The worker's program. Tests of failures use another program. */
  readonly program?: URL;
};

type Run = { readonly resolve: (result: EngineResult | StepResult) => void; readonly reject: (error: unknown) => void };
type Seat = {
  worker: Worker | undefined;
  state: 'Loading' | 'Idle' | 'Busy' | 'Leaving';
  run: Run | undefined;
  failures: number;
  recycle: boolean;
  /** Undefined until the worker waits for batches in its mailbox. */
  mailbox: MailboxSender | undefined;
  /** The batch whose result will be in the mailbox. */
  inMailbox: EngineBatch | undefined;
  /** Called when the native call has returned. */ returned: () => void;
};

const restart = { baseMs: 100, maxMs: 10_000 };

export class WorkerPool implements Engine {
  readonly #deps: PoolDeps;
  readonly #seats: Seat[];
  #onFree: () => void = () => {};
  #closing = false;
  #wakeCloser: (() => void) | undefined;
  /** The slot of a sequence is a position in `#seats`. */
  readonly sequences: SlotSequences;

  private constructor(deps: PoolDeps) {
    this.#deps = deps;
    this.sequences = this.#makeSequences();
    this.#seats = Array.from({ length: deps.workers }, () => ({
      worker: undefined,
      state: 'Loading',
      run: undefined,
      failures: 0,
      recycle: false,
      mailbox: undefined,
      inMailbox: undefined,
      returned: () => {},
    }));
  }

  /**
   * Starts the workers and waits until all have loaded the model.
   * @throws AppError ENGINE_LOAD_FAILED with ONNX Runtime's message
   */
  static async start(deps: PoolDeps): Promise<WorkerPool> {
    const pool = new WorkerPool(deps);
    try {
      // Start one worker first: it brings the file into the page cache, and if it cannot load the model, no other
      // worker can.
      const [first, ...others] = pool.#seats;
      if (first !== undefined) await pool.#load(first);
      await Promise.all(others.map((seat) => pool.#load(seat)));
    } catch (error) {
      await pool.close();
      throw error;
    }
    return pool;
  }

  get freeSlots(): number {
    return this.#closing ? 0 : this.#seats.filter(({ state }) => state === 'Idle').length;
  }

  get workers(): { readonly ready: number; readonly wanted: number } {
    return {
      ready: this.#seats.filter(({ state }) => state === 'Idle' || state === 'Busy').length,
      wanted: this.#seats.length,
    };
  }

  onFree(listener: () => void): void {
    this.#onFree = listener;
  }

  run(batch: EngineBatch): Promise<EngineResult> {
    const seat = this.#closing ? undefined : this.#seats.find(({ state }) => state === 'Idle');
    if (seat === undefined) return Promise.reject(new AppError('NOT_READY', { state: 'no worker is free' }));
    try {
      if (seat.mailbox?.send(batch) !== true) return work(seat, { kind: 'run', batch }, batch.parts);
    } catch (error) {
      // A buffer was already transferred. The worker stays free.
      return Promise.reject(error as Error);
    }
    // The mailbox has a copy.
    for (const buffer of buffersOf(batch.parts)) freeBuffer(buffer);
    seat.inMailbox = batch;
    return begin(seat);
  }

  recycle(): void {
    if (
      this.#closing ||
      this.#seats.some((seat) => seat.recycle || seat.state === 'Loading' || seat.state === 'Leaving')
    )
      return;
    const seats = this.#seats.filter((_, slot) => !this.sequences.holds(slot));
    // Prefer to recycle a busy worker: without an arena, an idle worker has already freed its buffers.
    const seat = seats.find(({ state }) => state === 'Busy') ?? seats[0];
    if (seat === undefined) return;
    seat.recycle = true;
    this.#settle(seat);
  }

  async close(): Promise<void> {
    this.#closing = true;
    for (const seat of this.#seats) this.#settle(seat);
    while (this.#seats.some(({ worker }) => worker !== undefined))
      await new Promise<void>((resolve) => {
        this.#wakeCloser = resolve;
      });
  }

  #makeSequences(): SlotSequences {
    const { model, stateBytes = 0 } = this.#deps;
    // A worker that is about to be replaced takes no new sequences.
    const isOpen = ({ state, recycle }: Seat): boolean => !recycle && (state === 'Idle' || state === 'Busy');
    return new SlotSequences({
      model,
      limitBytes: stateBytes,
      openSlots: () => (this.#closing ? [] : this.#seats.flatMap((seat, slot) => (isOpen(seat) ? [slot] : []))),
      isFree: (slot) => !this.#closing && this.#seats[slot]?.state === 'Idle',
      tell: (slot, news) => tell(this.#seats[slot], news),
      step: (slot, steps) =>
        // SlotSequences has checked that the slot exists and is free.
        work<StepResult>(
          this.#seats[slot] as Seat,
          { kind: 'step', steps },
          steps.map(({ inputs }) => inputs),
        ),
    });
  }

  /** Resolves when the worker has loaded the model; rejects when it cannot. */
  #load(seat: Seat): Promise<void> {
    return new Promise((resolve, reject) => {
      const { task, program = new URL('./worker.ts', import.meta.url) } = this.#deps;
      seat.state = 'Loading';
      seat.returned = beginNativeWork();
      const mailbox = new MailboxSender();
      const worker = new Worker(program, {
        workerData: { ...task, mailbox: mailbox.memory } satisfies WorkerTask,
        name: 'engine',
      });
      seat.worker = worker;
      worker.on('message', (message: FromWorker) => {
        seat.returned();
        if (message === resultInMailbox) return this.#hearMailbox(seat);
        if (message.kind === 'loaded' && message.mailbox === true) seat.mailbox = mailbox;
        if (message.kind === 'loadFailed')
          return reject(new AppError('ENGINE_LOAD_FAILED', { file: task.graphPath, why: loadWords(message.why) }));
        if (message.kind === 'loaded') resolve();
        return this.#hear(seat, message);
      });
      worker.on('error', (error: unknown) => this.#deps.logger.error('engine worker failed', { err: error }));
      worker.on('exit', () => {
        reject(new AppError('ENGINE_LOAD_FAILED', { file: task.graphPath, why: 'the worker ended while loading' }));
        this.#gone(seat);
      });
    });
  }

  #hearMailbox(seat: Seat): void {
    const { run, mailbox, inMailbox } = seat;
    seat.run = undefined;
    seat.state = 'Idle';
    seat.failures = 0;
    if (mailbox !== undefined && inMailbox !== undefined) run?.resolve(mailbox.take(inMailbox.outputs));
    return this.#settle(seat);
  }

  #hear(seat: Seat, message: Exclude<FromWorker, typeof resultInMailbox | { kind: 'loadFailed' }>): void {
    if (message.kind === 'loaded') {
      this.#deps.logger.debug('engine worker loaded', { loadMs: Math.round(message.loadMs) });
      seat.state = 'Idle';
      return this.#settle(seat);
    }
    const run = seat.run;
    seat.run = undefined;
    seat.state = 'Idle';
    if (message.kind === 'ran') {
      seat.failures = 0;
      shareOutputs(message.result.parts);
      run?.resolve(message.result);
    } else run?.reject(new AppError('ENGINE_FAILED', { model: this.#deps.model, why: message.why }));
    return this.#settle(seat);
  }

  /**
   * Ends an idle worker that is marked for replacement, or any idle worker when the pool closes. Otherwise reports that
   * the worker is free for the next batch.
   */
  #settle(seat: Seat): void {
    if (seat.state !== 'Idle') return;
    if (!this.#closing && !seat.recycle) return this.#onFree();
    seat.state = 'Leaving';
    return tell(seat, { kind: 'release' });
  }

  #gone(seat: Seat): void {
    const { run, recycle } = seat;
    seat.returned();
    const wanted = seat.state === 'Leaving';
    Object.assign(seat, {
      worker: undefined,
      state: 'Loading',
      run: undefined,
      recycle: false,
      mailbox: undefined,
      inMailbox: undefined,
    } satisfies Partial<Seat>);
    run?.reject(new AppError('ENGINE_LOST', { model: this.#deps.model }));
    if (this.#closing) return this.#wakeCloser?.();
    this.sequences.loseSlot(this.#seats.indexOf(seat));
    return this.#replace(seat, wanted && recycle);
  }

  #replace(seat: Seat, recycled: boolean): void {
    seat.failures = recycled ? 0 : seat.failures + 1;
    const waitMs = recycled ? 0 : backoffMs(restart, seat.failures, Math.random());
    this.#deps.logger[recycled ? 'info' : 'warn']('replacing engine worker', {
      failures: seat.failures,
      waitMs: Math.round(waitMs),
    });
    this.#deps.clock.after(waitMs, () => {
      if (this.#closing) return;
      // Only log the error. After a failed load the worker exits, and its exit event leads to the next #replace().
      this.#load(seat).catch((error: unknown) =>
        this.#deps.logger.warn('engine worker could not load the model', { err: error }),
      );
    });
  }
}

function tell(seat: Seat | undefined, message: ToWorker, transfer: ArrayBuffer[] = []): void {
  seat?.worker?.postMessage(message, transfer);
  seat?.mailbox?.ring();
}

/**
 * Gives an idle worker a batch or a step to run.
 * @param inputs tensors whose buffers are transferred
 */
function work<T extends EngineResult>(seat: Seat, message: ToWorker, inputs: readonly NamedTensors[]): Promise<T> {
  // Throws when the caller passes a buffer that was already transferred. The worker then stays free.
  try {
    tell(seat, message, buffersOf(inputs));
  } catch (error) {
    return Promise.reject(error instanceof Error ? error : new Error(String(error)));
  }
  return begin(seat);
}

/** Marks the worker as busy. @returns its next result */
function begin<T extends EngineResult>(seat: Seat): Promise<T> {
  seat.state = 'Busy';
  seat.returned = beginNativeWork();
  return new Promise((resolve, reject) => {
    // A worker answers `run` with an EngineResult and `step` with a StepResult.
    seat.run = { resolve: (result) => resolve(result as T), reject };
  });
}
