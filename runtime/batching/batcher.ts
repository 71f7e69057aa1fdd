/**
 * Holds requests until a slot of the engine is free, then runs as many of them together as the plan says.
 *
 * Owns:   the queue, its limit and the one timer. plan.ts decides what runs; this file carries out the plan.
 * Limits: at most `maxDepth` requests of a tier wait; the next request of that tier is refused at once with QUEUE_FULL.
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
import { elementCount, tensorBytes, type NamedTensors } from '../engine/tensor.ts';
import { unknownRunCost, type RunCost } from '../engine/run-cost.ts';
import { Backlog, comesTooLate, type CurrentRun, type QueuedWork } from './backlog.ts';
import { CostModel } from './cost-model.ts';
import { groupOf } from './group.ts';
import { planBatch, planWhileBusy, type BatchLimits, type Waiting } from './plan.ts';
import type { Inference, InferenceRequest, InferenceResult } from './port.ts';
import { unlimitedRoom, type RunRoom } from './room.ts';

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
  QueuedWork & {
    readonly request: InferenceRequest;
    readonly resolve: (result: InferenceResult) => void;
    readonly reject: (error: unknown) => void;
    /** True once giveUp() has failed the request while its run continues. */
    isGivenUp: boolean;
  };

type TicketRun = CurrentRun & { readonly tickets: readonly Ticket[] };

export class Batcher implements Inference {
  readonly #deps: BatcherDeps;
  #queue: Ticket[] = [];
  readonly #backlog = new Backlog();
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

  /** Number of queued requests, and how long the oldest has waited. */
  get queue(): { readonly depth: number; readonly oldestMs: number } {
    const [oldest] = this.#queue;
    return {
      depth: this.#queue.length,
      oldestMs: oldest === undefined ? 0 : this.#deps.clock.monotonic() - oldest.enqueuedAtMs,
    };
  }

  /** Milliseconds that a new request is expected to wait for its run. */
  expectedWaitMs(tier: Tier): number {
    const { engine, clock } = this.#deps;
    return this.#backlog.waitMs(tier, {
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

  /** Sets the memory that runs may take. */
  limitMemory(room: RunRoom): void {
    this.#room = room;
  }

  submit(request: InferenceRequest): Promise<InferenceResult> {
    if (request.signal.aborted) return Promise.reject(reasonOf(request.signal));
    const { tier = 'interactive' } = request;
    const elements = elementsOf(request.inputs);
    const rows = rowsOf(request.inputs);
    const refusal = this.#refusalOf(request, rows, elements);
    if (refusal !== undefined) return Promise.reject(refusal);
    const { promise, resolve, reject } = Promise.withResolvers<InferenceResult>();
    const ticket: Ticket = {
      request,
      resolve,
      reject,
      tier,
      elements,
      bytes: this.#room.bytesOf(rows, elements),
      rows: rows ?? 1,
      workMs: this.#workMs(rows ?? 1, elements),
      group: rows === undefined || rows === 0 ? undefined : groupOf(request),
      enqueuedAtMs: this.#deps.clock.monotonic(),
      deadlineMs: request.deadlineMs,
      isGivenUp: false,
    };
    const leave = (): void => this.#forget(ticket);
    request.signal.addEventListener('abort', leave, { once: true });
    this.#queue.push(ticket);
    this.#backlog.add(ticket);
    this.#pumpSoon();
    return promise.finally(() => request.signal.removeEventListener('abort', leave));
  }

  /** Why a request may not enter the queue; undefined when it may. */
  #refusalOf(request: InferenceRequest, rows: number | undefined, elements: number): AppError | undefined {
    const { maxRequestElements, maxDepth } = this.#deps.limits;
    if (elements > maxRequestElements)
      return new AppError('REQUEST_TOO_LARGE', {
        what: `the inputs have ${elements} elements`,
        limit: maxRequestElements,
      });
    if (this.#backlog.depthOf(request.tier ?? 'interactive') >= maxDepth)
      return new AppError('QUEUE_FULL', { limit: maxDepth });
    if (this.#room.bytesOf(rows, elements) > this.#room.largestBytes) return this.#room.refusal(rows, elements);
    return this.#comesTooLate(request, rows ?? 1, elements);
  }

  /** The error for a request that would have to wait and would probably not be answered by its deadline. */
  #comesTooLate(request: InferenceRequest, rows: number, elements: number): AppError | undefined {
    if (request.deadlineMs === undefined) return undefined;
    const waitMs = this.expectedWaitMs(request.tier ?? 'interactive');
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
    for (const ticket of this.#take([...this.#queue.keys()])) ticket.reject(error);
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
        for (const ticket of this.#take(plan.drop))
          ticket.reject(new AppError('REQUEST_EXPIRED', { waitedMs: now - ticket.enqueuedAtMs }));
      } else if (plan.kind === 'wait') return this.#wakeIn(plan.forMs);
      else if (!this.#fits(plan.take)) return this.#waitForRoom(now);
      else {
        if (plan.tier === 'bulk') this.#bulkRanAtMs = now;
        void this.#run(this.#take(plan.take));
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

  #take(positions: readonly number[]): Ticket[] {
    const chosen = new Set(positions);
    const taken = this.#queue.filter((_, position) => chosen.has(position));
    this.#queue = this.#queue.filter((_, position) => !chosen.has(position));
    for (const ticket of taken) this.#backlog.remove(ticket);
    return taken;
  }

  async #run(tickets: readonly Ticket[]): Promise<void> {
    const { engine, clock } = this.#deps;
    const beganMs = clock.monotonic();
    const bytes = tickets.reduce((sum, ticket) => sum + ticket.bytes, 0);
    const size = sizeOf(tickets);
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
    const batchRows = result.together ? sizeOf(tickets).rows : undefined;
    tickets.forEach((ticket, position) => {
      const part = result.parts[position];
      // The caller has already received an error. Do not charge memory for outputs that are not sent.
      if (ticket.isGivenUp) return undefined;
      if (ticket.request.signal.aborted) return ticket.reject(reasonOf(ticket.request.signal));
      if (part?.kind !== 'Done') return ticket.reject(this.#errorOf(part));
      try {
        ticket.request.hold?.(bytesOf(part.outputs));
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
    const { rows, elements } = sizeOf(tickets);
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
    this.#take([position]);
    ticket.reject(reasonOf(ticket.request.signal));
    this.#pump();
  }

  #wakeIfIdle(): void {
    if (this.#runs.size > 0) return;
    for (const wake of this.#idleWaiters.splice(0)) wake();
  }
}

function elementsOf(inputs: NamedTensors): number {
  return Object.values(inputs).reduce((sum, { dims }) => sum + elementCount(dims), 0);
}

function bytesOf(outputs: NamedTensors): number {
  return Object.values(outputs).reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
}

/** The rows of a run, and the input elements of one of them. */
function sizeOf(tickets: readonly Ticket[]): { readonly rows: number; readonly elements: number } {
  const [rows, elements] = tickets.reduce(
    ([sumRows, sumElements], ticket) => [sumRows + ticket.rows, sumElements + ticket.elements],
    [0, 0],
  );
  return { rows, elements: elements / Math.max(1, rows) };
}
