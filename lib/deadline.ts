/**
 * A signal that ends a piece of work when its time is up or when its caller aborts it.
 * Owns: one timer and one listener on the parent signal, both removed by `dispose`. `AbortSignal.any` would stay
 * attached to a parent that lives as long as the process.
 */
import { onAbort } from './abort.ts';
import type { Clock } from './clock.ts';

export type Deadline = {
  readonly signal: AbortSignal;
  /** True when the time ran out first; false when the parent was aborted first, or while the work continues. */
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
  const off = clock.after(ms, () => {
    if (controller.signal.aborted) return;
    expired = true;
    controller.abort(new Error(`not done within ${ms} ms`));
  });
  const offParent = parent === undefined ? undefined : onAbort(parent, () => controller.abort(parent.reason));
  return {
    signal: controller.signal,
    expired: () => expired,
    dispose: () => {
      off();
      offParent?.();
    },
  };
}
