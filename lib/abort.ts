/**
 * Waiting for an AbortSignal, without leaving a listener on one that lives as long as the process.
 *
 * Rule: a signal that is aborted already counts as one that is aborted now; its event never comes again.
 */

/** Runs `fn` once when the signal is aborted, at once when it is already. Calling the result calls it off. */
export function onAbort(signal: AbortSignal, fn: () => void): () => void {
  if (signal.aborted) fn();
  else signal.addEventListener('abort', fn, { once: true });
  return () => signal.removeEventListener('abort', fn);
}

/** Resolves once the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    onAbort(signal, resolve);
  });
}

/**
 * The promise, or a rejection with the signal's reason when that comes first. What the promise does later is ignored.
 */
export function raceAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const off = onAbort(signal, () => reject(reasonOf(signal)));
    promise.then(resolve, reject).finally(off);
  });
}

/** Why a signal was aborted, as an Error. */
export function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason ?? 'aborted'));
}
