/**
 * An open loop: requests are sent at intended times that do not depend on answers, and a latency begins at the intended
 * time. The latencies therefore show a server that stalls: requests continue to become due during the stall.
 * Limits: `outstanding` requests at a time. Further requests wait in the client; the wait is part of their latency.
 */
import { median, probe } from '../../support/load.ts';
import { cpuSecondsOf } from '../../support/usage.ts';
import { drainMs } from './closed-loop.ts';
import { Connection } from './connection.ts';
import type { Job, LoadReport } from './job.ts';
import { arrivalsMs, dueAt } from './schedule.ts';
import { Tally } from './tally.ts';

/** Node's shortest timer. Requests that become due within it are sent together, at its end. */
const tickMs = 1;
/** How long the loop waits for answers after the last intended time. */
const graceMs = 1000;
const healthEveryMs = 20;

type OpenJob = Job & { readonly kind: 'open' };

export async function openLoop(job: OpenJob): Promise<LoadReport> {
  const sender = new Sender(job);
  const health = job.healthPath === undefined ? undefined : probe({ port: job.port }, healthEveryMs, job.healthPath);
  const report = await sender.run();
  return { ...report, healthMs: [...((await health?.stop()) ?? [])] };
}

class Sender {
  readonly #job: OpenJob;
  readonly #tally = new Tally();
  readonly #free: Connection[] = [];
  readonly #all: Connection[] = [];
  /** The intended times of requests that wait for a connection. */
  readonly #waiting: number[] = [];
  readonly #sent = new Set<number>();
  readonly #lateMs: number[] = [];
  #count = 0;
  #startMs = 0;

  constructor(job: OpenJob) {
    this.#job = job;
  }

  async run(): Promise<LoadReport> {
    const { warmMs, ms, perSecond, seed, pids } = this.#job;
    const arrivals = arrivalsMs(perSecond, warmMs + ms, seed);
    this.#startMs = performance.now();
    let hasBegun = false;
    for (let next = 0; this.#nowMs() < warmMs + ms;) {
      if (!hasBegun && this.#nowMs() >= warmMs) {
        hasBegun = true;
        this.#tally.begin(cpuSecondsOf(pids));
      }
      for (let due = dueAt(arrivals, next, this.#nowMs()); due > 0; due -= 1) this.#send(arrivals[next++] ?? 0);
      await new Promise((resolve) => setTimeout(resolve, tickMs));
    }
    const atEnd = this.#tally.end(cpuSecondsOf(pids));
    return this.#finish(atEnd);
  }

  /**
   * Waits for the remaining answers. They add to the latencies, but not to the rate and the CPU time, because the
   * measured time ends at the last intended time.
   */
  async #finish(atEnd: LoadReport): Promise<LoadReport> {
    await this.#untilAnswered(graceMs);
    const unansweredMs = [...this.#sent, ...this.#waiting].map((intended) => this.#nowMs() - intended);
    const late = this.#tally.end(0);
    this.#waiting.length = 0;
    // Wait for the answers that are still missing: the server's remaining work would slow the next measurement.
    await this.#untilAnswered(drainMs);
    this.#sent.clear();
    for (const connection of this.#all) connection.close();
    return {
      ...late,
      elapsedMs: atEnd.elapsedMs,
      inTime: atEnd.latenciesMs.length,
      unansweredMs,
      sentLateMs: median(this.#lateMs),
      serverCpuSeconds: atEnd.serverCpuSeconds,
      clientCpuSeconds: atEnd.clientCpuSeconds,
    };
  }

  async #untilAnswered(mostMs: number): Promise<void> {
    const untilMs = this.#nowMs() + mostMs;
    while ((this.#sent.size > 0 || this.#waiting.length > 0) && this.#nowMs() < untilMs)
      await new Promise((resolve) => setTimeout(resolve, tickMs));
  }

  #send(intendedMs: number): void {
    const connection = this.#connection();
    if (connection === undefined) {
      this.#waiting.push(intendedMs);
      return;
    }
    this.#lateMs.push(this.#nowMs() - intendedMs);
    void this.#exchange(connection, intendedMs);
  }

  #connection(): Connection | undefined {
    const free = this.#free.pop();
    if (free !== undefined || this.#all.length >= this.#job.outstanding) return free;
    const made = new Connection(this.#job.port);
    this.#all.push(made);
    return made;
  }

  async #exchange(connection: Connection, intendedMs: number): Promise<void> {
    this.#sent.add(intendedMs);
    const { requests } = this.#job;
    const answer = await connection.send(requests[this.#count++ % requests.length] ?? new Uint8Array());
    if (!this.#sent.delete(intendedMs)) return;
    this.#tally.count(answer, this.#nowMs() - intendedMs);
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#free.push(connection);
    else void this.#exchange(connection, waiting);
  }

  #nowMs(): number {
    return performance.now() - this.#startMs;
  }
}
