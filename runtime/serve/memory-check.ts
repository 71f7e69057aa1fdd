/**
 * Refuses a memory limit that is too low for the model, and recommends a sufficient one.
 *
 * Throws: MODEL_TOO_LARGE. Without this check, the kernel would kill the process without a message, or the server would
 *         refuse every request.
 */
import { AppError } from '../../api/errors.ts';
import type { Prepared } from '../prepare/prepared.ts';
import type { MemoryReading } from '../call/memory-guard.ts';
import { loadBytesOf, loadFits, servingFits, sufficientLimit } from '../config/limits.ts';

/** @param heldBytes anonymous memory of the process before the model is loaded */
export function checkLoad(prepared: Prepared, limitBytes: number | undefined, heldBytes: number): void {
  const loadBytes = loadBytesOf(prepared.resolved.memoryEstimateBytes);
  if (limitBytes !== undefined && !loadFits(limitBytes, heldBytes, loadBytes))
    throw tooLarge(prepared, limitBytes, heldBytes + loadBytes);
}

/** @param reading memory of the process after the model was loaded and warmed up */
export function checkServing(prepared: Prepared, { limitBytes, anonymousBytes }: MemoryReading): void {
  if (limitBytes !== null && !servingFits(limitBytes, anonymousBytes))
    throw tooLarge(prepared, limitBytes, anonymousBytes);
}

function tooLarge({ graphPath, info }: Prepared, limitBytes: number, modelBytes: number): AppError {
  return new AppError('MODEL_TOO_LARGE', {
    file: graphPath,
    needBytes: sufficientLimit(modelBytes, 0, info.weightsBytes),
    limitBytes,
  });
}
