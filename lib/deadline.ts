/**
 * A signal that ends a piece of work: when its time is up or when whoever asked for it gives up.
 *
 * Owns: one timer and one listener on the parent, both gone after `dispose`. `AbortSignal.any` would leave
 *       a dependent on a parent that lives as long as the process.
 */
import { onAbort } from './abort.ts';
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
