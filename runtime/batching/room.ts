/**
 * The memory limits of runs, and the estimated memory of a request. Pure.
 *
 * Owns: the memory estimate for a request, and the error for a request that can never fit.
 */
import { AppError } from '../../api/errors.ts';
import { plural } from '../../api/text.ts';
import { formatBytes } from '../../api/units.ts';
import { unknownRunMemory, type RunMemory } from '../engine/run-memory.ts';

export type RunRoom = {
  /** Memory limit of all current runs together. */
  readonly totalBytes: number;
  /** Memory limit of a run that joins several requests. The rest of `totalBytes` is for runs of the other workers. */
  readonly runBytes: number;
  /** Memory limit of a run of one request. */
  readonly largestBytes: number;
  /**
   * The estimated bytes of memory that a run of the request needs.
   *
   * @param rows undefined when inputs have different numbers of rows
   * @param elements number of elements in all inputs
   */
  readonly bytesOf: (rows: number | undefined, elements: number) => number;
  /** How many rows of a request may be in one run; at least 1. */
  readonly rowsThatFit: (rows: number, elements: number) => number;
  /** The error for a request that can never fit. */
  readonly refusal: (rows: number | undefined, elements: number) => AppError;
};

/**
 * @param keeps true if sessions keep the memory of their largest run. The other workers may then hold their shares even
 *   when they are idle, so no run may take more than the share of one worker.
 */
export function runRoom(memory: RunMemory, totalBytes: number, workers: number, keeps = false): RunRoom {
  const runBytes = Math.floor(totalBytes / Math.max(1, workers));
  const largestBytes = keeps ? runBytes : totalBytes;
  const bytesOf = (rows: number | undefined, elements: number): number =>
    memory.bytesOf(rows ?? 1, elements / Math.max(1, rows ?? 1));
  return {
    totalBytes,
    runBytes,
    largestBytes,
    bytesOf,
    rowsThatFit: (rows, elements) => {
      const rowElements = elements / Math.max(1, rows);
      let fitting = rows;
      while (fitting > 1 && memory.bytesOf(fitting, rowElements) > runBytes) fitting = Math.floor(fitting / 2);
      return Math.max(1, fitting);
    },
    refusal: (rows, elements) =>
      new AppError('REQUEST_TOO_LARGE', {
        what:
          `running ${rows === undefined ? 'inputs' : plural(rows, 'row')} with ${plural(elements, 'element')} in ` +
          `total needs about ${formatBytes(bytesOf(rows, elements))} of memory`,
        limit: formatBytes(largestBytes),
        advice: 'send fewer rows or shorter inputs in one request, or raise spec.memory.limit',
      }),
  };
}

export const unlimitedRoom: RunRoom = runRoom(unknownRunMemory, Infinity, 1);
