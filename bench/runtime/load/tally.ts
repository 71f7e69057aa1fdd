/** Counts the answers of one measured time. Answers before the call of `begin` are not counted. */
import type { ReadAnswer } from './answer-reader.ts';
import type { LoadReport } from './job.ts';

/** A `retry-after` in seconds. A `retry-after` with a date is ignored. */
const seconds = /^\d+$/;

export class Tally {
  #latenciesMs: number[] = [];
  #others: Record<number, number> = {};
  #retryAfter: number[] = [];
  #beganMs = 0;
  #serverCpu = 0;
  #clientCpu = process.cpuUsage();

  count({ status, headers }: Pick<ReadAnswer, 'status' | 'headers'>, latencyMs: number): void {
    if (status === 200) {
      this.#latenciesMs.push(latencyMs);
      return;
    }
    this.#others[status] = (this.#others[status] ?? 0) + 1;
    const retry = headers.get('retry-after') ?? '';
    if (seconds.test(retry)) this.#retryAfter.push(Number(retry));
  }

  begin(serverCpuSeconds: number): void {
    this.#latenciesMs = [];
    this.#others = {};
    this.#retryAfter = [];
    this.#serverCpu = serverCpuSeconds;
    this.#clientCpu = process.cpuUsage();
    this.#beganMs = performance.now();
  }

  end(serverCpuSeconds: number): LoadReport {
    const { user, system } = process.cpuUsage(this.#clientCpu);
    return {
      elapsedMs: performance.now() - this.#beganMs,
      inTime: this.#latenciesMs.length,
      latenciesMs: Float64Array.from(this.#latenciesMs),
      others: { ...this.#others },
      retryAfterSeconds: [...this.#retryAfter],
      unansweredMs: [],
      sentLateMs: 0,
      healthMs: [],
      serverCpuSeconds: serverCpuSeconds - this.#serverCpu,
      clientCpuSeconds: (user + system) / 1e6,
    };
  }
}
