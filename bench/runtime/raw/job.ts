/**
 * Messages between the bench and the raw loop: jobs and reports. The raw loop is another process that calls ONNX
 * Runtime again and again in several threads, without a server.
 */
import type { Row } from '../cases.ts';

export type RawStart = {
  readonly graphPath: string;
  readonly outputs: readonly string[];
  /** The number of threads; each has its own session of ONNX Runtime. */
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
