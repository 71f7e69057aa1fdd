/**
 * A signal that ends a piece of work when its time is up or when its caller aborts it.
 * Owns: one timer and one listener on the parent signal, both removed by `dispose`. `AbortSignal.any` would stay
 * attached to a parent that lives as long as the process.
 */
import type { Clock } from './clock.ts';

export type Deadline = {
  readonly signal: AbortSignal;
  /** True when the time ran out first; false when the parent was aborted first, or while the work goes on. */
  expired(): boolean;
  /** Must always be called when the work is over. */
  dispose(): void;
};

/**
 * @param ms how long the work may take
 * @param parent aborts the work, with the parent's reason
 */
export function startDeadline(clock: Clock, ms: number, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  let expired = false;
  const onParent = (): void => controller.abort(parent?.reason);
  const off = clock.after(ms, () => {
    if (controller.signal.aborted) return;
    expired = true;
    controller.abort(new Error(`not done within ${ms} ms`));
  });
  if (parent?.aborted === true) onParent();
  else parent?.addEventListener('abort', onParent, { once: true });
  return {
    signal: controller.signal,
    expired: () => expired,
    dispose: () => {
      off();
      parent?.removeEventListener('abort', onParent);
    },
  };
}

/**
 * The promise's result, or a rejection with the signal's reason when the signal is aborted first. A later result is
 * ignored.
 */
export function raceAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(reasonOf(signal));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** The reason of an aborted signal, as an Error. */
export function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason ?? 'aborted'));
}
