/**
 * Replaces the worker that ran the largest sizes while the model was measured, if sessions keep the memory of runs.
 *
 * Owns: the replacement, and runs that warm the new worker. Without it, a server would hold the memory of sizes that
 *       its clients may never send.
 * Ends: when all workers have loaded the model, or at the deadline; the new worker is then used as soon as it is ready.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Engine } from './port.ts';
import type { Signature } from './signature.ts';
import { trialInputs } from './trial-inputs.ts';

export type RenewedModel = {
  readonly engine: Pick<Engine, 'run' | 'recycle' | 'workers' | 'freeSlots'>;
  readonly signature: Signature;
};

export type RenewDeps = {
  /** A size of the free dimensions that the model accepts. */
  readonly fill: number;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly stop: AbortSignal;
};

const lookMs = 5;
/** Number of warm-up runs of each worker: the first runs of a session are slower. */
const warmRuns = 3;

export async function renewWorker({ engine, signature }: RenewedModel, deps: RenewDeps): Promise<void> {
  const { fill, clock, timeoutMs, stop } = deps;
  const deadlineMs = clock.monotonic() + timeoutMs;
  engine.recycle();
  while (engine.workers.ready < engine.workers.wanted) {
    if (stop.aborted || clock.monotonic() > deadlineMs) return;
    await clock.sleep(lookMs, stop);
  }
  const outputs = signature.outputs.map(({ name }) => name);
  for (let round = 0; round < warmRuns && !stop.aborted; round += 1) {
    const lanes = Array.from(
      { length: engine.freeSlots },
      (_, lane) => trialInputs(signature.inputs, { fill, rows: 1, seed: lane + 1 }) ?? [],
    ).flat();
    await Promise.all(lanes.map((inputs) => engine.run({ parts: [inputs], outputs })));
  }
}
