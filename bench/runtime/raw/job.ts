/** What the bench asks of the raw loop, and what it reports. Both travel between processes and threads. */
import type { Row } from '../cases.ts';

export type RawStart = {
  readonly graphPath: string;
  readonly outputs: readonly string[];
  /** Threads with a session each. */
  readonly workers: number;
};

export type RawJob = {
  readonly rows: readonly Row[];
  readonly batch: number;
  readonly workers: number;
  readonly ms: number;
};

export type RawReport = {
  readonly rows: number;
  readonly elapsedMs: number;
  /** The time of each run. */
  readonly latenciesMs: Float64Array<ArrayBuffer>;
  readonly cpuSeconds: number;
  /** The numbers of the first output of the first row. */
  readonly values: Float32Array<ArrayBuffer>;
};
