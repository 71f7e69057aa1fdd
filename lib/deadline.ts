/**
 * A signal that ends a piece of work: when its time is up or when whoever asked for it gives up.
 *
 * Owns: one timer and one listener on the parent, both gone after `dispose`. `AbortSignal.any` would leave
 *       a dependent on a parent that lives as long as the process.
 */
import type { Clock } from './clock.ts';

export type Deadline = {
  readonly signal: AbortSignal;
  /** True when time ran out, false when the parent was aborted first or nothing happened yet. */
  expired(): boolean;
  /** Call it when the work is over, always. */
  dispose(): void;
};

/** @param ms how long the work may take. @param parent aborts the work with its own reason */
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
 * The promise, or a rejection with the signal's reason when that comes first. What the promise does later is ignored.
 */
export function raceAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(reasonOf(signal));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Why a signal was aborted, as an Error. */
export function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason ?? 'aborted'));
}
