/**
 * The memory of our server over many requests of mixed sizes, beside a client that asks for as much as it can.
 * Owns: the rows, the points at which memory is read, the highest reading, and the growth.
 */
import { anonymousMiBOf, usageOf } from '../support/usage.ts';
import { Random } from '../canary/random.ts';
import { benchModels, rowOfIds, type Row } from './cases.ts';
import { encodeMessage, tensorMessage } from './encode.ts';
import { GreedyClient, type GiantAnswers } from './giants.ts';
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
  /** The highest of all readings, one in 20 ms. */
  readonly peakMiB: number;
  /** Other answers than 200 to the usual requests, by status; 0 is a broken connection. */
  readonly others: Readonly<Record<number, number>>;
  /** Answers to the requests of the greedy client. */
  readonly giants: GiantAnswers;
  /** Whether the server's process still ran at the end. */
  readonly isAlive: boolean;
};

const sliceMs = 2000;
const clients = 16;
const pointCount = 10;
const lookMs = 20;

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
  const others: Record<number, number> = {};
  const greedy = new GreedyClient(server.port);
  const peak = new Peak(server.pids);
  let done = 0;
  try {
    while (done < requests && server.isRunning) {
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
      for (const [status, count] of Object.entries(report.others))
        others[Number(status)] = (others[Number(status)] ?? 0) + count;
      if (done >= (points.length * requests) / pointCount) points.push(pointAt(done, server.pids));
    }
  } finally {
    peak.end();
  }
  const giants = await greedy.end();
  return { points, growthMiB: growthOf(points), peakMiB: peak.mebibytes, others, giants, isAlive: server.isRunning };
}

/** Reads memory again and again, because a peak may be short. */
class Peak {
  mebibytes = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(pids: readonly number[]) {
    this.#timer = setInterval(() => {
      this.mebibytes = Math.max(this.mebibytes, anonymousMiBOf(pids));
    }, lookMs);
  }

  end(): void {
    clearInterval(this.#timer);
  }
}

function pointAt(requests: number, pids: readonly number[]): MemoryPoint {
  return { requests, anonymousMiB: anonymousMiBOf(pids), residentMiB: usageOf(pids).rssMiB };
}
