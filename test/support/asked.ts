/**
 * The parameters of a gate beside its counts, as in a plan with one α for both verdicts.
 * Owns: only the values: one node for all pods, so that nodes do not differ, and a window old enough for a Fail.
 */

/** For a latency gate with a tolerance of 15 %. */
export const askedOfLatency = {
  passAlpha: 0.05,
  toShow: 0.15,
  early: 0.5,
  isTooEarlyToFail: false,
  warmBlocks: 20,
  nodes: 'Shared',
  podDeviations: { Fail: 2, Pass: 2 },
} as const;

/**
 * For a rate gate.
 * @param limit as a share of requests: what a Pass must show
 */
export function askedOfRate(limit: number) {
  return { passAlpha: 0.05, toShow: limit, early: Math.max(limit, 0.05) } as const;
}
