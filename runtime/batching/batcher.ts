/**
 * Holds requests until a slot of the engine is free, then runs as many of them together as the plan says.
 *
 * Owns:   the queue, its limit and the one timer. plan.ts decides what runs; this file carries out the plan.
 * Limits: waiting requests of a tier are limited in number, rows and bytes (waiting-queue.ts). With a full queue, the
 *         new request is refused with QUEUE_FULL, or the newest one of a client that has more requests waiting.
 *         A request that would have to wait, and would probably not be answered by its deadline, is refused at once
 *         with WAIT_TOO_LONG. A run begins when its memory and the memory of the current runs together are within the
 *         limit (room.ts). A request that can never fit is refused with REQUEST_TOO_LARGE.
 * Ends:   every submit settles exactly once: with a result, an AppError, or the reason of the caller's abort. A request
 *         that expires or is aborted before its run never reaches the engine.
 */
import { AppError } from '../../api/errors.ts';
import type { Tier } from '../../api/tiers.ts';
import { reasonOf } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Engine, EngineResult, PartResult } from '../engine/port.ts';
import { rowsOf } from '../engine/rows.ts';
import { unknownRunCost, type RunCost } from '../engine/run-cost.ts';
import { comesTooLate, expectedWait, type CurrentRun } from './backlog.ts';
import { CostModel } from './cost-model.ts';
import { groupOf } from './group.ts';
import { planBatch, planWhileBusy, type BatchLimits, type Waiting } from './plan.ts';
import type { Inference, InferenceRequest, InferenceResult } from './port.ts';
import { unlimitedRoom, type RunRoom } from './room.ts';
import { runSize } from './request-size.ts';
import { elementsOf, tensorsBytes } from '../engine/tensor.ts';
import { WaitingQueue, type Queued } from './waiting-queue.ts';

export type BatcherLimits = Omit<BatchLimits, 'maxBytes'> & {
  /**
   * True when the spec does not set `maxRows`. Until the cost of runs is measured, a run then has at most 8 rows.
   */
  readonly maxRowsIsDefault?: boolean;
  readonly maxDepth: number;
  /** Maximum number of input elements of a single request. */
  readonly maxRequestElements: number;
};

/** Events for metrics. */
export type BatchNews = {
  readonly batch: (batch: { readonly rows: number; readonly requests: number; readonly inferMs: number }) => void;
  /** Called when a batch failed or its result could not be split, so that the engine ran its requests one by one. */
  readonly fellApart: (requests: number) => void;
};

export type BatcherDeps = {
  /** The model's name, for errors. */
  readonly model: string;
  readonly engine: Engine;
  readonly limits: BatcherLimits;
  readonly clock: Clock;
  readonly news: BatchNews;
  /**
   * Calls a function after the requests that have arrived by now were submitted, so that they share runs. Default:
   * calls it at once.
   */
  readonly soon?: (fn: () => void) => void;
};

type Ticket = Waiting &
  Queued & {
    readonly request: InferenceRequest;
    readonly resolve: (result: InferenceResult) => void;
    readonly reject: (error: unknown) => void;
    /** True once giveUp() has failed the request while its run continues. */
    isGivenUp: boolean;
  };

type TicketRun = CurrentRun & { readonly tickets: readonly Ticket[] };

/** Waiting rows for each request that may wait. */
const rowsPerRequest = 32;

export class Batcher implements Inference {
  readonly #deps: BatcherDeps;
  readonly #waiting = new WaitingQueue<Ticket>();
  #waitingBytes = Infinity;
  readonly #costs: CostModel;
  readonly #runs = new Set<TicketRun>();
  #pumpsSoon = false;
  #room: RunRoom = unlimitedRoom;
  #runningBytes = 0;
  /** When the last run of bulk requests began. */
  #bulkRanAtMs = -Infinity;
  #callOffTimer: () => void = () => {};
  #idleWaiters: (() => void)[] = [];

  constructor(deps: BatcherDeps) {
    this.#deps = deps;
    const { maxRows: mostRows, maxRowsIsDefault: isDefault = false } = deps.limits;
    this.#costs = new CostModel({ curve: unknownRunCost, mostRows, isDefault });
    deps.engine.onFree(() => this.#pump());
  }

  /** Number, rows and bytes of the queued requests, and how long the oldest has waited. */
  get queue(): { readonly depth: number; readonly rows: number; readonly bytes: number; readonly oldestMs: number } {
    const [oldest] = this.#queue;
    const { requests: depth, rows, bytes } = this.#waiting.size;
    return {
      depth,
      rows,
      bytes,
      oldestMs: oldest === undefined ? 0 : this.#deps.clock.monotonic() - oldest.enqueuedAtMs,
    };
  }

  get #queue(): readonly Ticket[] {
    return this.#waiting.list;
  }

  /** Milliseconds that a new request is expected to wait for its run. @param client that sends it */
  expectedWaitMs(tier: Tier, client?: string): number {
    const { engine, clock } = this.#deps;
    return expectedWait(this.#waiting.workBefore(tier, client), {
      runs: [...this.#runs],
      workers: engine.workers.ready,
      nowMs: clock.monotonic(),
    });
  }

  /** Maximum number of rows of a run. */
  get maxRows(): number {
    return this.#costs.mostRows;
  }

  /** Number of workers with a loaded model; at least 1. */
  get workers(): number {
    return Math.max(1, this.#deps.engine.workers.ready);
  }

  /** The cost of runs, as measured and as corrected by recent runs. */
  get costs(): Pick<CostModel, 'shapeOf' | 'points' | 'shapes'> {
    return this.#costs;
  }

  /** Maximum number of input elements of a single request. */
  get maxRequestElements(): number {
    return this.#deps.limits.maxRequestElements;
  }

  /** Sets the maximum number of rows of a run: 1 when the warm-up found that rows depend on each other. */
  limitRows(maxRows: number): void {
    this.#costs.limitRows(maxRows);
  }

  /** Sets the cost of runs, by which the number of rows of a run is chosen. */
  useCosts(curve: RunCost): void {
    this.#costs.measured(curve);
  }

  get room(): RunRoom {
    return this.#room;
  }

  /** Sets the memory that runs may take. @param waitingBytes memory for the inputs of waiting requests of a tier */
  limitMemory(room: RunRoom, waitingBytes = Infinity): void {
    this.#room = room;
    this.#waitingBytes = waitingBytes;
  }

  submit(request: InferenceRequest): Promise<InferenceResult> {
    if (request.signal.aborted) return Promise.reject(reasonOf(request.signal));
    const { tier = 'interactive' } = request;
    const elements = elementsOf(request.inputs);
    const rows = rowsOf(request.inputs);
    const queued = {
      tier,
      client: request.client,
      rows: rows ?? 1,
      inputBytes: tensorsBytes(request.inputs),
      workMs: this.#workMs(rows ?? 1, elements),
    };
    const isFirst = request.isRest !== true;
    const refusal = this.#refusalOf(request, rows, elements) ?? (isFirst ? this.#makePlace(queued) : undefined);
    if (refusal !== undefined) return Promise.reject(refusal);
    const { promise, resolve, reject } = Promise.withResolvers<InferenceResult>();
    const ticket: Ticket = {
      request,
      resolve,
      reject,
      ...queued,
      turn: this.#waiting.turnOf(queued),
      elements,
      bytes: this.#room.bytesOf(rows, elements),
      group: rows === undefined || rows === 0 ? undefined : groupOf(request),
      enqueuedAtMs: this.#deps.clock.monotonic(),
      deadlineMs: request.deadlineMs,
      isGivenUp: false,
    };
    const leave = (): void => this.#forget(ticket);
    request.signal.addEventListener('abort', leave, { once: true });
    this.#waiting.add(ticket);
    this.#pumpSoon();
    return promise.finally(() => request.signal.removeEventListener('abort', leave));
  }

  /** Why a request may not enter the queue; undefined when it may. */
  #refusalOf(request: InferenceRequest, rows: number | undefined, elements: number): AppError | undefined {
    const { maxRequestElements } = this.#deps.limits;
    if (elements > maxRequestElements)
      return new AppError('REQUEST_TOO_LARGE', {
        what: `the inputs have ${elements} elements`,
        limit: maxRequestElements,
      });
    if (this.#room.bytesOf(rows, elements) > this.#room.largestBytes) return this.#room.refusal(rows, elements);
    return this.#comesTooLate(request, rows ?? 1, elements);
  }

  /**
   * Makes place in a full queue: the newest requests of the clients with the most requests are refused instead.
   * @returns the error for the new request when there is no place
   */
  #makePlace(queued: Queued): AppError | undefined {
    const { maxDepth } = this.#deps.limits;
    const limits = { requests: maxDepth, rows: maxDepth * rowsPerRequest, bytes: this.#waitingBytes };
    const place = this.#waiting.placeFor(queued, limits);
    const error = place.exceeded && new AppError('QUEUE_FULL', place.exceeded);
    if (!place.fits) return error;
    for (const ticket of this.#waiting.take(place.yields)) ticket.reject(error);
    return undefined;
  }

  /** The error for a request that would have to wait and would probably not be answered by its deadline. */
  #comesTooLate(request: InferenceRequest, rows: number, elements: number): AppError | undefined {
    if (request.deadlineMs === undefined) return undefined;
    const waitMs = this.expectedWaitMs(request.tier ?? 'interactive', request.client);
    const runMs = this.#costs.msOf(rows, elements / Math.max(1, rows));
    const leftMs = request.deadlineMs - this.#deps.clock.monotonic();
    return comesTooLate({ waitMs, runMs, leftMs })
      ? new AppError('WAIT_TOO_LONG', { expectedMs: waitMs + runMs, leftMs: Math.max(0, leftMs) })
      : undefined;
  }

  /** Worker time of the request's rows in runs of the chosen number of rows. */
  #workMs(rows: number, elements: number): number {
    const elementsOfRow = elements / Math.max(1, rows);
    const together = Math.max(rows, this.#costs.shapeOf(elementsOfRow).rows);
    return (this.#costs.msOf(together, elementsOfRow) * rows) / Math.max(1, together);
  }

  /**
   * Fails the requests of every run that began more than `ranMs` ago. If `queued` is true, all queued requests fail
   * too. The runs continue, because they cannot be stopped.
   */
  giveUp({ ranMs, queued }: { readonly ranMs: number; readonly queued: boolean }, error: AppError): void {
    const now = this.#deps.clock.monotonic();
    for (const { beganMs, tickets } of this.#runs) {
      if (now - beganMs <= ranMs) continue;
      for (const ticket of tickets) {
        ticket.isGivenUp = true;
        ticket.reject(error);
      }
    }
    if (!queued) return;
    for (const ticket of this.#waiting.take([...this.#queue.keys()])) ticket.reject(error);
  }

  /** Resolves when the queue is empty and no run is in progress. */
  async idle(): Promise<void> {
    while (this.#queue.length > 0 || this.#runs.size > 0)
      await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }

  #pumpSoon(): void {
    if (this.#pumpsSoon) return;
    this.#pumpsSoon = true;
    const { soon = (fn) => fn() } = this.#deps;
    soon(() => {
      this.#pumpsSoon = false;
      this.#pump();
    });
  }

  #pump(): void {
    const { engine, clock, limits } = this.#deps;
    this.#callOffTimer();
    for (;;) {
      const now = clock.monotonic();
      const plan =
        engine.freeSlots === 0
          ? planWhileBusy(this.#queue, now)
          : planBatch(
              this.#queue,
              { ...limits, maxRows: this.#costs.mostRows, maxBytes: this.#room.runBytes },
              this.#costs,
              {
                nowMs: now,
                bulkRanAtMs: this.#bulkRanAtMs,
                workers: this.workers,
              },
            );
      if (plan.kind === 'rest') return this.#wakeIfIdle();
      if (plan.kind === 'drop') {
        for (const ticket of this.#waiting.take(plan.drop))
          ticket.reject(new AppError('REQUEST_EXPIRED', { waitedMs: now - ticket.enqueuedAtMs }));
      } else if (plan.kind === 'wait') return this.#wakeIn(plan.forMs);
      else if (!this.#fits(plan.take)) return this.#waitForRoom(now);
      else {
        if (plan.tier === 'bulk') this.#bulkRanAtMs = now;
        void this.#run(this.#waiting.serve(plan.take));
      }
    }
  }

  #fits(positions: readonly number[]): boolean {
    const bytes = positions.reduce((sum, position) => sum + (this.#queue[position]?.bytes ?? 0), 0);
    return this.#runningBytes === 0 || this.#runningBytes + bytes <= this.#room.totalBytes;
  }

  /**
   * Waits for the end of a run, or for the next deadline. A smaller request does not overtake a large request that
   * waits for memory, because the large request could then wait forever.
   */
  #waitForRoom(now: number): void {
    const plan = planWhileBusy(this.#queue, now);
    if (plan.kind === 'wait') this.#wakeIn(plan.forMs);
  }

  #wakeIn(ms: number): void {
    if (Number.isFinite(ms)) this.#callOffTimer = this.#deps.clock.after(Math.max(ms, 0), () => this.#pump());
  }

  async #run(tickets: readonly Ticket[]): Promise<void> {
    const { engine, clock } = this.#deps;
    const beganMs = clock.monotonic();
    const bytes = tickets.reduce((sum, ticket) => sum + ticket.bytes, 0);
    const size = runSize(tickets);
    const run = { beganMs, tickets, expectedMs: this.#costs.msOf(size.rows, size.elements) };
    this.#runs.add(run);
    this.#runningBytes += bytes;
    try {
      const result = await engine.run({
        parts: tickets.map(({ request }) => request.inputs),
        outputs: tickets[0]?.request.outputs ?? [],
      });
      this.#learn(tickets, result, clock.monotonic() - beganMs);
      this.#answer(tickets, result, beganMs);
    } catch (error) {
      for (const ticket of tickets) ticket.reject(error);
    } finally {
      this.#runs.delete(run);
      this.#runningBytes -= bytes;
      this.#pump();
    }
  }

  #answer(tickets: readonly Ticket[], result: EngineResult, beganMs: number): void {
    const batchRows = result.together ? runSize(tickets).rows : undefined;
    tickets.forEach((ticket, position) => {
      const part = result.parts[position];
      // The caller has already received an error. Do not charge memory for outputs that are not sent.
      if (ticket.isGivenUp) return undefined;
      if (ticket.request.signal.aborted) return ticket.reject(reasonOf(ticket.request.signal));
      if (part?.kind !== 'Done') return ticket.reject(this.#errorOf(part));
      try {
        ticket.request.hold?.(tensorsBytes(part.outputs));
      } catch (error) {
        return ticket.reject(error);
      }
      return ticket.resolve({
        outputs: part.outputs,
        queueMs: beganMs - ticket.enqueuedAtMs,
        inferMs: result.inferMs,
        batchRows: batchRows ?? ticket.rows,
        isShared: tickets.length > 1,
      });
    });
  }

  #learn(tickets: readonly Ticket[], result: EngineResult, ms: number): void {
    const { news } = this.#deps;
    const { rows, elements } = runSize(tickets);
    news.batch({ rows, requests: tickets.length, inferMs: result.inferMs });
    if (result.together || tickets.length === 1) this.#costs.learn(rows, elements, ms);
    else news.fellApart(tickets.length);
  }

  #errorOf(part: Exclude<PartResult, { kind: 'Done' }> | undefined): AppError {
    const why = part?.why ?? 'the engine gave no answer';
    if (part?.kind === 'Refused')
      return new AppError('REQUEST_INVALID', { problem: `the model does not accept this input: ${why}` });
    return new AppError('ENGINE_FAILED', { model: this.#deps.model, why });
  }

  /** Removes a request that its caller aborted. If the request's run has begun, #answer() drops the result instead. */
  #forget(ticket: Ticket): void {
    const position = this.#queue.indexOf(ticket);
    if (position < 0) return;
    this.#waiting.take([position]);
    ticket.reject(reasonOf(ticket.request.signal));
    this.#pump();
  }

  #wakeIfIdle(): void {
    if (this.#runs.size > 0) return;
    for (const wake of this.#idleWaiters.splice(0)) wake();
  }
}
