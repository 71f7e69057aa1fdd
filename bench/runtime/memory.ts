/**
 * The memory of our server over many requests of mixed sizes.
 * Owns: the rows, the points at which memory is read, and the growth.
 */
import { anonymousMiBOf, usageOf } from '../support/usage.ts';
import { Random } from '../canary/random.ts';
import { benchModels, rowOfIds, type Row } from './cases.ts';
import { encodeMessage, tensorMessage } from './encode.ts';
import type { GeneratorProcess } from './load/generator-process.ts';
import type { MeasuredServer } from './servers/measured-server.ts';

export type MemoryPoint = {
  /** Answered requests so far. */
  readonly requests: number;
  readonly anonymousMiB: number;
  readonly residentMiB: number;
};

export type MemoryResult = {
  readonly points: readonly MemoryPoint[];
  /** The growth of memory from the first tenth of the requests to the end. */
  readonly growthMiB: number;
  readonly failed: number;
};

const sliceMs = 2000;
const clients = 16;
const pointCount = 10;

/** Rows of 4 to 256 tokens. Short rows are more frequent: the logarithm of the length has a uniform distribution. */
export function mixedRows(count: number): readonly Row[] {
  const random = new Random(11);
  return Array.from({ length: count }, () => {
    const length = Math.round(4 * 64 ** random.uniform());
    return rowOfIds(Array.from({ length }, () => 1996 + Math.floor(random.uniform() * 20_000)));
  });
}

/** The growth from the first tenth of the requests to the last point. */
export function growthOf(points: readonly MemoryPoint[]): number {
  const first = points.find((point) => point.requests >= (points.at(-1)?.requests ?? 0) / pointCount);
  return (points.at(-1)?.anonymousMiB ?? NaN) - (first?.anonymousMiB ?? NaN);
}

export async function memoryOver(
  requests: number,
  server: MeasuredServer,
  generator: GeneratorProcess,
  stop: AbortSignal,
): Promise<MemoryResult> {
  const encoded = mixedRows(512).map((row) => encodeMessage(tensorMessage('oip', row, benchModels.minilm.outputs)));
  const points: MemoryPoint[] = [pointAt(0, server.pids)];
  let [done, failed] = [0, 0];
  while (done < requests) {
    stop.throwIfAborted();
    const report = await generator.run({
      kind: 'closed',
      port: server.port,
      requests: encoded,
      pids: [],
      warmMs: 0,
      ms: sliceMs,
      clients,
    });
    done += report.inTime;
    failed += Object.values(report.others).reduce((sum, count) => sum + count, 0);
    if (report.inTime === 0) throw new Error(`the server answered none of the requests of ${sliceMs / 1000} s`);
    if (done >= (points.length * requests) / pointCount) points.push(pointAt(done, server.pids));
  }
  return { points, growthMiB: growthOf(points), failed };
}

function pointAt(requests: number, pids: readonly number[]): MemoryPoint {
  return { requests, anonymousMiB: anonymousMiBOf(pids), residentMiB: usageOf(pids).rssMiB };
}
