/**
 * The memory that runs may take, and what a request's run takes of it.
 *
 * Owns:  how a request is sized, and the words of a refusal. Pure.
 */
import { AppError } from '../../api/errors.ts';
import { formatBytes } from '../../api/units.ts';
import { unknownRunMemory, type RunMemory } from '../engine/run-memory.ts';

export type RunRoom = {
  /** All runs under way. */
  readonly totalBytes: number;
  /** One run of several requests: every worker's run fits beside the others. */
  readonly runBytes: number;
  /** @param rows undefined for inputs without rows in common @param elements of all inputs */
  readonly bytesOf: (rows: number | undefined, elements: number) => number;
  /** Rows of a request that may run at once, 1 or more. */
  readonly rowsThatFit: (rows: number, elements: number) => number;
  /** The error for a request that can never fit. */
  readonly refusal: (rows: number | undefined, elements: number) => AppError;
};

export function runRoom(memory: RunMemory, totalBytes: number, workers: number): RunRoom {
  const runBytes = Math.floor(totalBytes / Math.max(1, workers));
  const bytesOf = (rows: number | undefined, elements: number): number =>
    memory.bytesOf(rows ?? 1, elements / Math.max(1, rows ?? 1));
  return {
    totalBytes,
    runBytes,
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
          `the memory to run ${rows === undefined ? '' : `${rows} rows of `}inputs of ${elements} elements, about ` +
          `${formatBytes(bytesOf(rows, elements))},`,
        limit: formatBytes(totalBytes),
        advice: 'send fewer rows or shorter inputs in one request, or raise spec.memory.limit',
      }),
  };
}

export const unlimitedRoom: RunRoom = runRoom(unknownRunMemory, Infinity, 1);
