/**
 * Holds requests until a slot of the engine is free, then runs as many of them together as the plan says.
 *
 * Owns:   the queue, its limit and the one timer. plan.ts decides what runs; this file carries out the plan.
 * Limits: at most `maxDepth` requests of a tier wait; the next request of that tier is refused at once with QUEUE_FULL.
 *         A run begins when its memory and the memory of the current runs together are within the limit (room.ts). A
 *         request that can never fit is refused with REQUEST_TOO_LARGE.
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
import { unlimitedRoom, type RunRoom } from './room.ts';
import { planBatch, planWhileBusy, type BatchLimits, type Waiting } from './plan.ts';
import type { Inference, InferenceRequest, InferenceResult } from './port.ts';

export type BatcherLimits = Omit<BatchLimits, 'maxBytes'> & {
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

type Ticket = Waiting & {
  readonly request: InferenceRequest;
  readonly resolve: (result: InferenceResult) => void;
  readonly reject: (error: unknown) => void;
  /** True once giveUp() has failed the request while its run continues. */
  isGivenUp: boolean;
};

export class Batcher implements Inference {
  readonly #deps: BatcherDeps;
  #queue: Ticket[] = [];
  readonly #runs = new Set<{ readonly beganMs: number; readonly tickets: readonly Ticket[] }>();
  #running = 0;
  #pumpsSoon = false;
  #maxRows: number;
  #room: RunRoom = unlimitedRoom;
  #runningBytes = 0;
  /** When the last run of bulk requests began. */
  #bulkRanAtMs = -Infinity;
  #callOffTimer: () => void = () => {};
  #idleWaiters: (() => void)[] = [];
  /**
   * Smoothed milliseconds of engine time per request, divided by the number of ready workers. expectedWaitMs() uses it.
   */
  #msPerRequest = 0;

  constructor(deps: BatcherDeps) {
    this.#deps = deps;
    this.#maxRows = deps.limits.maxRows;
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

  /**
   * Milliseconds that a new request is expected to wait, estimated from recent requests. Queued bulk requests do not
   * delay an interactive request, because interactive requests overtake them.
   */
  expectedWaitMs(tier: Tier): number {
    const ahead = tier === 'interactive' ? this.#depthOf(tier) : this.#queue.length;
    return ahead * this.#msPerRequest;
  }

  get maxRows(): number {
    return this.#maxRows;
  }

  /** Maximum number of input elements of a single request. */
  get maxRequestElements(): number {
    return this.#deps.limits.maxRequestElements;
  }

  /** Sets the maximum number of rows of a run: 1 when the warm-up found that rows depend on each other. */
  limitRows(maxRows: number): void {
    this.#maxRows = maxRows;
  }

  get room(): RunRoom {
    return this.#room;
  }

  /** Sets the memory that runs may take. */
  limitMemory(room: RunRoom): void {
    this.#room = room;
  }

  submit(request: InferenceRequest): Promise<InferenceResult> {
    const { clock, limits } = this.#deps;
    if (request.signal.aborted) return Promise.reject(reasonOf(request.signal));
    const elements = elementsOf(request.inputs);
    if (elements > limits.maxRequestElements)
      return Promise.reject(
        new AppError('REQUEST_TOO_LARGE', {
          what: `the inputs have ${elements} elements`,
          limit: limits.maxRequestElements,
        }),
      );
    const { tier = 'interactive' } = request;
    if (this.#depthOf(tier) >= limits.maxDepth)
      return Promise.reject(new AppError('QUEUE_FULL', { limit: limits.maxDepth }));
    const rows = rowsOf(request.inputs);
    const bytes = this.#room.bytesOf(rows, elements);
    if (bytes > this.#room.largestBytes) return Promise.reject(this.#room.refusal(rows, elements));
    const { promise, resolve, reject } = Promise.withResolvers<InferenceResult>();
    const ticket: Ticket = {
      request,
      resolve,
      reject,
      tier,
      elements,
      bytes,
      rows: rows ?? 1,
      group: rows === undefined || rows === 0 ? undefined : groupOf(request),
      enqueuedAtMs: clock.monotonic(),
      deadlineMs: request.deadlineMs,
      isGivenUp: false,
    };
    const leave = (): void => this.#forget(ticket);
    request.signal.addEventListener('abort', leave, { once: true });
    this.#queue.push(ticket);
    this.#pumpSoon();
    return promise.finally(() => request.signal.removeEventListener('abort', leave));
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
    if (queued) for (const ticket of this.#queue.splice(0)) ticket.reject(error);
  }

  /** Resolves when the queue is empty and no run is in progress. */
  async idle(): Promise<void> {
    while (this.#queue.length > 0 || this.#running > 0)
      await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }

  /**
   * Number of queued requests of one tier. `maxDepth` applies to each tier separately, so queued bulk requests do not
   * cause the refusal of interactive requests.
   */
  #depthOf(tier: Tier): number {
    return this.#queue.reduce((depth, ticket) => depth + (ticket.tier === tier ? 1 : 0), 0);
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
              { ...limits, maxRows: this.#maxRows, maxBytes: this.#room.runBytes },
              { nowMs: now, bulkRanAtMs: this.#bulkRanAtMs },
            );
      if (plan.kind === 'rest') return this.#wakeIfIdle();
      if (plan.kind === 'drop') {
        for (const ticket of this.#take(plan.drop))
          ticket.reject(new AppError('REQUEST_EXPIRED', { waitedMs: now - ticket.enqueuedAtMs }));
      } else if (plan.kind === 'wait') return this.#wakeIn(plan.forMs);
      else if (!this.#fits(plan.take)) return this.#waitForRoom(now);
      else void this.#run(this.#take(plan.take));
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
    return taken;
  }

  async #run(tickets: readonly Ticket[]): Promise<void> {
    const { engine, clock } = this.#deps;
    const beganMs = clock.monotonic();
    const bytes = tickets.reduce((sum, ticket) => sum + ticket.bytes, 0);
    this.#running += 1;
    if (tickets[0]?.tier === 'bulk') this.#bulkRanAtMs = beganMs;
    const run = { beganMs, tickets };
    this.#runs.add(run);
    this.#runningBytes += bytes;
    try {
      const result = await engine.run({
        parts: tickets.map(({ request }) => request.inputs),
        outputs: tickets[0]?.request.outputs ?? [],
      });
      this.#learn(tickets, result);
      this.#answer(tickets, result, beganMs);
    } catch (error) {
      for (const ticket of tickets) ticket.reject(error);
    } finally {
      this.#running -= 1;
      this.#runs.delete(run);
      this.#runningBytes -= bytes;
      this.#pump();
    }
  }

  #answer(tickets: readonly Ticket[], result: EngineResult, beganMs: number): void {
    const batchRows = result.together ? totalRows(tickets) : undefined;
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

  #learn(tickets: readonly Ticket[], result: EngineResult): void {
    const { news, engine } = this.#deps;
    news.batch({ rows: totalRows(tickets), requests: tickets.length, inferMs: result.inferMs });
    if (!result.together) news.fellApart(tickets.length);
    const ms = result.inferMs / tickets.length / Math.max(1, engine.workers.ready);
    this.#msPerRequest = this.#msPerRequest === 0 ? ms : this.#msPerRequest * 0.9 + ms * 0.1;
  }

  #errorOf(part: Exclude<PartResult, { kind: 'Done' }> | undefined): AppError {
    const why = part?.why ?? 'the engine gave no answer';
    if (part?.kind === 'Refused')
      return new AppError('REQUEST_INVALID', { problem: `the model does not accept this input: ${why}` });
    return new AppError('ENGINE_FAILED', { model: this.#deps.model, why });
  }

  /** Removes a request that its caller aborted. If the request's run has begun, #answer() drops the result instead. */
  #forget(ticket: Ticket): void {
    if (!this.#queue.includes(ticket)) return;
    this.#queue = this.#queue.filter((other) => other !== ticket);
    ticket.reject(reasonOf(ticket.request.signal));
    this.#pump();
  }

  #wakeIfIdle(): void {
    if (this.#running > 0) return;
    for (const wake of this.#idleWaiters.splice(0)) wake();
  }
}

/**
 * A key made of the names and types of the inputs, all their dimensions but the first, and the names of the outputs.
 * Requests with equal keys can share a run.
 */
export function groupOf({ inputs, outputs }: Pick<InferenceRequest, 'inputs' | 'outputs'>): string {
  const names = Object.keys(inputs);
  if (names.length > 1) names.sort((a, b) => (a < b ? -1 : 1));
  let text = outputs.join('\0');
  for (const name of names) {
    const tensor = inputs[name];
    text += `\0\0${name}\0${tensor?.type ?? ''}`;
    for (let axis = 1; axis < (tensor?.dims.length ?? 0); axis += 1) text += `,${tensor?.dims[axis] ?? 0}`;
  }
  return text;
}

function elementsOf(inputs: NamedTensors): number {
  return Object.values(inputs).reduce((sum, { dims }) => sum + elementCount(dims), 0);
}

function bytesOf(outputs: NamedTensors): number {
  return Object.values(outputs).reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
}

function totalRows(tickets: readonly Ticket[]): number {
  return tickets.reduce((rows, ticket) => rows + ticket.rows, 0);
}
