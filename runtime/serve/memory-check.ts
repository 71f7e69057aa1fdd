/**
 * Refuses a memory limit that is too low for the model, and recommends a sufficient one.
 *
 * Throws: MODEL_TOO_LARGE. Without this check, the kernel would kill the process without a message, or the server would
 *         refuse every request.
 */
import { AppError } from '../../api/errors.ts';
import type { Prepared } from '../prepare/prepared.ts';
import type { MemoryReading } from '../call/memory-guard.ts';
import { emptyProcessBytes, loadBytesOf, loadFits, servingFits, sufficientLimit } from '../config/limits.ts';

/**
 * @param heldBytes anonymous memory of the process before the model is loaded
 * @param workers how many sessions will be loaded
 */
export function checkLoad(prepared: Prepared, limitBytes: number | undefined, heldBytes: number, workers = 1): void {
  const loadBytes = loadBytesOf(prepared.resolved.memoryEstimateBytes);
  // The first worker needs its largest memory while it loads the model; each other worker adds its session. Mapped
  // weights are not counted.
  const sessionBytes = Math.max(0, (prepared.allocation?.measured[0]?.loadedBytes ?? 0) - emptyProcessBytes);
  const allBytes = loadBytes + (workers - 1) * sessionBytes;
  if (limitBytes === undefined || loadFits(limitBytes, heldBytes, allBytes)) return;
  throw tooLarge(prepared, limitBytes, heldBytes + allBytes, workers);
}

/**
 * @param reading memory of the process after the model was loaded and warmed up
 * @param laterBytes memory that the model's task takes later
 */
export function checkServing(prepared: Prepared, reading: MemoryReading, laterBytes = 0): void {
  const { limitBytes } = reading;
  const heldBytes = reading.anonymousBytes + laterBytes;
  if (limitBytes !== null && !servingFits(limitBytes, heldBytes)) throw tooLarge(prepared, limitBytes, heldBytes);
}

function tooLarge({ graphPath, info }: Prepared, limitBytes: number, modelBytes: number, workers = 1): AppError {
  return new AppError('MODEL_TOO_LARGE', {
    file: workers === 1 ? graphPath : `${graphPath} with ${workers} workers`,
    needBytes: sufficientLimit(modelBytes, 0, info.weightsBytes),
    limitBytes,
  });
}
