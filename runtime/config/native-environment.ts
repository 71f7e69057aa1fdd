/**
 * The environment variables that native code reads when a process starts.
 *
 * Owns:  the thresholds of glibc's malloc that a measurement chose, and the rule that a value of the user is kept.
 * Pure.
 */
import { nativeEnvironment } from '../../api/names.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** @param thresholdBytes the malloc thresholds that were chosen for the model; absent: the usual ones */
export function nativeEnvironmentOf(thresholdBytes?: number): Readonly<Record<keyof typeof nativeEnvironment, string>> {
  if (thresholdBytes === undefined) return nativeEnvironment;
  const threshold = String(thresholdBytes);
  return { ...nativeEnvironment, MALLOC_TRIM_THRESHOLD_: threshold, MALLOC_MMAP_THRESHOLD_: threshold };
}

/**
 * The variables with which a process must re-execute itself; empty when its environment is right. The operator and the
 * image set the usual values. Any other value was set by the user, or by this process before it re-executed itself, and
 * is kept.
 */
export function missingEnvironment(
  environment: Environment,
  thresholdBytes?: number,
): Readonly<Record<string, string>> {
  const usual: Environment = nativeEnvironment;
  return Object.fromEntries(
    Object.entries(nativeEnvironmentOf(thresholdBytes)).filter(([name, value]) => {
      const now = environment[name];
      return now === undefined || (now === usual[name] && now !== value);
    }),
  );
}

/** The threshold that applies to this process; null when the environment does not set one. */
export function thresholdIn(environment: Environment): number | null {
  const value = Number(environment['MALLOC_MMAP_THRESHOLD_'] ?? NaN);
  return Number.isSafeInteger(value) ? value : null;
}
