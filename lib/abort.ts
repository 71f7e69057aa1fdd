/**
 * Helpers for an AbortSignal. `raceAbort` removes its listener, and `onAbort` returns a function that does, because a
 * signal may exist as long as the process.
 * Rule: a signal that is already aborted counts as aborted now, because it does not fire its event again.
 */

/**
 * Runs `fn` once when the signal is aborted; immediately if the signal is aborted already.
 * @returns a function that cancels the call of `fn`
 */
export function onAbort(signal: AbortSignal, fn: () => void): () => void {
  if (signal.aborted) fn();
  else signal.addEventListener('abort', fn, { once: true });
  return () => signal.removeEventListener('abort', fn);
}

/** Resolves once the signal is aborted. The listener stays until then. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    onAbort(signal, resolve);
  });
}

/**
 * The promise's result, or a rejection with the signal's reason when the signal is aborted first. A later result is
 * ignored.
 */
export function raceAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const off = onAbort(signal, () => reject(reasonOf(signal)));
    promise.then(resolve, reject).finally(off);
  });
}

/** The reason of an aborted signal, as an Error. */
export function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason ?? 'aborted'));
}
