/**
 * The server as sidecars see it.
 *
 * Owns:  what their requests leave out: counts, metrics and samples.
 */
import type { ExchangeWorld } from './exchange.ts';

/** The same for what sidecars ask: golden sets and samples are no traffic, so they show in no count and become no sample. */
export function uncountedWorld(world: ExchangeWorld): ExchangeWorld {
  const nothing = (): void => {};
  return {
    ...world,
    metrics: { served: nothing, refused: nothing },
    counters: { record: nothing },
    tally: { answered: nothing, failed: nothing },
    sampler: { on: false, choose: () => undefined },
  };
}
