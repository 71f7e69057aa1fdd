/**
 * The second implementation of the engine's port: engine processes that call ONNX Runtime through its C API. All runs
 * of a process share one session, so the weights are in memory once.
 *
 * Owns:   the processes' lifecycle: start, replacement with back-off after an end, recycling, release on close. A
 *         process that ends costs its own requests, sequences and caches only.
 * Limits: `processes` × `runsPerProcess` runs at once. The slot of a sequence is a process: one step at a time in each.
 *         After `mostFailures` ends without an answered request between them no process is started any more.
 */
import { AppError } from '../../../api/errors.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import { backoffMs } from '../../../lib/retry.ts';
import type { KeyValueCaches } from '../caches.ts';
import { layoutOf } from '../flat-layout.ts';
import type { WorkerStep } from '../messages.ts';
import type { Engine, EngineBatch, EngineResult, PartResult, StepResult } from '../port.ts';
import { splitRows } from '../rows.ts';
import { SlotSequences } from '../sequences.ts';
import type { Tensor } from '../tensor.ts';
import { EngineProcess, type EngineAnswer, type EngineProcessNews } from './engine-process.ts';
import { LanePlaces } from './lane.ts';
import type { EngineTask, EngineWork } from './messages.ts';
import { ProcessCaches } from './process-caches.ts';

export type ProcessEngineDeps = {
  /** The model's name, for error messages. */
  readonly model: string;
  readonly processes: number;
  readonly runsPerProcess: number;
  readonly task: Omit<EngineTask, 'lanes'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Limit of the state of all sequences and of all caches, in bytes. */
  readonly stateBytes?: number;
  /** How long a run may take, in milliseconds. Default: without a limit. */
  readonly runLimitMs?: () => number;
  /** How long a run that was asked to end may take to do so, in milliseconds. */
  readonly killAfterMs?: number;
  /** The processes' program. Tests of failures use another program. */
  readonly program?: URL;
  /** Called once when no process is started any more. */
  readonly onGaveUp?: (error: AppError) => void;
};

/** Counts since the start, for metrics. */
export type ProcessEngineStatus = {
  readonly processes: readonly { readonly state: Seat['state']; readonly pid?: number; readonly failures: number }[];
  /** Processes that ended without being asked to. */
  readonly lost: number;
  /** Runs that were asked to end, because they took too long or their caller left. */
  readonly cancelled: number;
  /** Processes that were killed because such a run did not end. */
  readonly killed: number;
  readonly gaveUp: boolean;
};

type Seat = {
  process: EngineProcess | undefined;
  state: 'Loading' | 'Ready' | 'Leaving' | 'GaveUp';
  /** True while a step or a cache uses the process. */
  stepping: boolean;
  failures: number;
  recycle: boolean;
};

const restart = { baseMs: 100, maxMs: 10_000 };
const mostFailures = 10;

export class ProcessEngine implements Engine {
  readonly #deps: ProcessEngineDeps;
  readonly #seats: readonly Seat[];
  readonly #counts = { lost: 0, cancelled: 0, killed: 0 };
  #onFree: () => void = () => {};
  #closing = false;
  #wakeCloser: () => void = () => {};
  readonly sequences: SlotSequences;
  readonly caches: KeyValueCaches & ProcessCaches;

  private constructor(deps: ProcessEngineDeps) {
    this.#deps = deps;
    this.#seats = Array.from({ length: deps.processes }, () => ({
      process: undefined,
      state: 'Loading',
      stepping: false,
      failures: 0,
      recycle: false,
    }));
    this.sequences = this.#makeSequences();
    this.caches = new ProcessCaches({
      model: deps.model,
      limitBytes: deps.stateBytes ?? 0,
      usedBytes: () => this.sequences.usage.reservedBytes,
      openSlots: () => this.#openSlots(),
      exclusive: (slot, places, work, signal) => this.#exclusive(slot, places, work, signal),
      close: (slot, cache) => this.#seats[slot]?.process?.closeCache(cache),
    });
  }

  /**
   * Starts the processes and waits until all have loaded the model.
   * @throws AppError ENGINE_LOAD_FAILED with ONNX Runtime's message
   */
  static async start(deps: ProcessEngineDeps): Promise<ProcessEngine> {
    const engine = new ProcessEngine(deps);
    try {
      // Start one process first: it brings the file into the page cache, and if it cannot load the model, no other
      // process can.
      const [first, ...others] = engine.#seats;
      if (first !== undefined) await engine.#load(first);
      await Promise.all(others.map((seat) => engine.#load(seat)));
    } catch (error) {
      await engine.close();
      throw error;
    }
    return engine;
  }

  get freeSlots(): number {
    return this.#closing ? 0 : this.#seats.reduce((sum, seat) => sum + freeOf(seat), 0);
  }

  get workers(): { readonly ready: number; readonly wanted: number } {
    const ready = this.#seats.filter(({ state }) => state === 'Ready').length;
    const { runsPerProcess } = this.#deps;
    return { ready: ready * runsPerProcess, wanted: this.#seats.length * runsPerProcess };
  }

  get status(): ProcessEngineStatus {
    const processes = this.#seats.map(({ state, failures, process }) => {
      const pid = process?.pid;
      return { state, failures, ...(pid === undefined ? {} : { pid }) };
    });
    return { processes, ...this.#counts, gaveUp: this.#seats.some(({ state }) => state === 'GaveUp') };
  }

  onFree(listener: () => void): void {
    this.#onFree = listener;
  }

  async run(batch: EngineBatch): Promise<EngineResult> {
    // The process with the most free lanes: runs of different processes disturb each other least.
    const [seat] = this.#closing ? [] : this.#seats.filter((other) => freeOf(other) > 0).sort(byFree);
    if (seat === undefined) throw new AppError('NOT_READY', { state: 'no worker is free' });
    const { places, sets, rows } = placesOf(batch);
    const work: EngineWork = { kind: 'run', sets, outputs: batch.outputs, ...(rows === undefined ? {} : { rows }) };
    const answer = await this.#request(seat, places, work, batch.signal);
    const { inferMs, together } = answer;
    return { parts: partsOf(answer, rows ?? []), inferMs, together };
  }

  recycle(): void {
    if (this.#closing || this.#seats.some(({ state, recycle }) => recycle || state !== 'Ready')) return;
    for (const { process } of this.#seats) process?.trim();
    // The only process stays: without it nothing could be served while the next one loads.
    if (this.#seats.length === 1) return;
    const seat = this.#seats.find((_, slot) => !this.sequences.holds(slot) && !this.caches.holds(slot));
    if (seat === undefined) return;
    seat.recycle = true;
    this.#leave(seat);
  }

  async close(): Promise<void> {
    this.#closing = true;
    for (const seat of this.#seats) this.#leave(seat);
    while (this.#seats.some(({ process }) => process !== undefined))
      await new Promise<void>((resolve) => {
        this.#wakeCloser = resolve;
      });
  }

  #openSlots(): readonly number[] {
    return this.#closing ? [] : [...this.#seats.keys()].filter((slot) => this.#seats[slot]?.state === 'Ready');
  }

  #makeSequences(): SlotSequences {
    const { model, stateBytes = 0 } = this.#deps;
    return new SlotSequences({
      model,
      limitBytes: stateBytes,
      takenBytes: () => this.caches.bytes,
      openSlots: () => this.#openSlots(),
      isFree: (slot) => {
        const seat = this.#seats[slot];
        return !this.#closing && seat !== undefined && !seat.stepping && freeOf(seat) > 0;
      },
      tell: (slot, news) => this.#seats[slot]?.process?.tell(news),
      step: (slot, steps) => this.#step(slot, steps),
    });
  }

  async #step(slot: number, steps: readonly WorkerStep[]): Promise<StepResult> {
    const places = new LanePlaces();
    const wired = steps.map(({ inputs, ...step }) => ({ ...step, inputs: places.placeAll(inputs) }));
    const answer = await this.#exclusive(slot, places, { kind: 'step', steps: wired });
    const { inferMs, together, stateBytes = [] } = answer;
    return { parts: answer.parts, inferMs, together, stateBytes };
  }

  /** Work that must be the only one of its kind in the process. */
  async #exclusive(slot: number, places: LanePlaces, work: EngineWork, signal?: AbortSignal): Promise<EngineAnswer> {
    const seat = this.#seats[slot];
    if (seat === undefined || seat.stepping || freeOf(seat) === 0)
      throw new AppError('NOT_READY', { state: 'the engine process is not free' });
    seat.stepping = true;
    return this.#request(seat, places, work, signal);
  }

  /** `run`s of a process may be in progress together; of all other work there is one at a time. */
  async #request(seat: Seat, places: LanePlaces, work: EngineWork, signal?: AbortSignal): Promise<EngineAnswer> {
    try {
      const answer = await (seat.process as EngineProcess).request(places, work, signal);
      seat.failures = 0;
      return answer;
    } finally {
      if (work.kind !== 'run') seat.stepping = false;
      this.#settle(seat);
    }
  }

  /** Reports that a process has a free lane, or ends a process that is to leave once it has no request. */
  #settle(seat: Seat): void {
    if (seat.state === 'Ready') return this.#onFree();
    if (seat.state === 'Leaving' && seat.process?.busy === 0) seat.process.release();
    return undefined;
  }

  /** Ends a process between requests. */
  #leave(seat: Seat): void {
    if (seat.state === 'Loading') return seat.process?.kill();
    if (seat.state !== 'Ready') return undefined;
    seat.state = 'Leaving';
    return this.#settle(seat);
  }

  /** Resolves when a process has loaded the model; rejects when it cannot. */
  async #load(seat: Seat): Promise<void> {
    const { model, task, clock, program, runsPerProcess } = this.#deps;
    const { runLimitMs = () => Infinity, killAfterMs = 5000 } = this.#deps;
    seat.state = 'Loading';
    const { process, loaded } = EngineProcess.start(
      {
        model,
        clock,
        runLimitMs,
        killAfterMs,
        task: { ...task, lanes: runsPerProcess },
        ...(program === undefined ? {} : { program }),
      },
      (news) => this.#hear(seat, news),
    );
    seat.process = process;
    await loaded;
    seat.state = 'Ready';
    this.#deps.logger.debug('engine process loaded', { pid: process.pid });
    if (this.#closing) this.#leave(seat);
    else this.#onFree();
  }

  #hear(seat: Seat, news: EngineProcessNews): void {
    if (news.kind === 'ended') return this.#gone(seat, news.why);
    if (news.kind !== 'leaving') {
      this.#counts[news.kind] += 1;
      this.#deps.logger.warn(news.kind === 'killed' ? 'killing engine process' : 'ending a run', {
        pid: seat.process?.pid,
      });
      return undefined;
    }
    // The process received SIGTERM. Replace it once its requests are answered.
    if (seat.state === 'Ready') seat.recycle = true;
    return this.#leave(seat);
  }

  #gone(seat: Seat, why: string): void {
    const wanted = seat.state === 'Leaving';
    const recycled = wanted && seat.recycle;
    Object.assign(seat, { process: undefined, state: 'Loading', recycle: false } satisfies Partial<Seat>);
    if (this.#closing) return this.#wakeCloser();
    const slot = this.#seats.indexOf(seat);
    this.sequences.loseSlot(slot);
    this.caches.loseSlot(slot);
    if (!wanted) this.#counts.lost += 1;
    return this.#replace(seat, recycled, why);
  }

  #replace(seat: Seat, recycled: boolean, why: string): void {
    seat.failures = recycled ? 0 : seat.failures + 1;
    if (seat.failures >= mostFailures) return this.#giveUp(seat, why);
    const waitMs = recycled ? 0 : backoffMs(restart, seat.failures, Math.random());
    this.#deps.logger[recycled ? 'info' : 'warn']('replacing engine process', {
      why,
      failures: seat.failures,
      waitMs: Math.round(waitMs),
    });
    this.#deps.clock.after(waitMs, () => {
      if (this.#closing) return;
      // Only log the error. After a failed load the process ends, and its end leads to the next #replace().
      this.#load(seat).catch((error: unknown) =>
        this.#deps.logger.warn('engine process could not load the model', { err: error }),
      );
    });
    return undefined;
  }

  /** A process that always ends would only use the CPU. The pod is then not ready, and says why. */
  #giveUp(seat: Seat, why: string): void {
    const isFirst = !this.status.gaveUp;
    seat.state = 'GaveUp';
    const error = new AppError('ENGINE_GAVE_UP', { model: this.#deps.model, failures: seat.failures, why });
    this.#deps.logger.error('engine processes are not started any more', { err: error });
    if (isFirst) this.#deps.onGaveUp?.(error);
  }
}

function freeOf({ process, state }: Seat): number {
  return state === 'Ready' ? (process?.free ?? 0) : 0;
}

function byFree(a: Seat, b: Seat): number {
  return freeOf(b) - freeOf(a);
}

/** Lays a batch out in a lane: joined, when its requests can be joined, otherwise one request after the other. */
function placesOf(batch: EngineBatch): {
  readonly places: LanePlaces;
  readonly sets: (EngineWork & { kind: 'run' })['sets'];
  readonly rows?: readonly number[];
} {
  const places = new LanePlaces();
  const { parts } = batch;
  const layout = layoutOf(batch);
  if (layout === undefined || parts.length === 1) return { places, sets: parts.map((part) => places.placeAll(part)) };
  const total = layout.rows.reduce((sum, count) => sum + count, 0);
  const joined = layout.inputs.map(({ name, dims }) =>
    places.place(
      name,
      [total, ...dims.slice(1)],
      parts.map((part) => part[name] as Tensor),
    ),
  );
  return { places, sets: [joined], rows: layout.rows };
}

function partsOf({ whole, parts }: EngineAnswer, rows: readonly number[]): readonly PartResult[] {
  if (whole === undefined) return parts;
  return (splitRows(whole, rows) ?? []).map((outputs) => ({ kind: 'Done', outputs }));
}
