/**
 * The parameters of a gate's judgement, without the counts and the α of a Fail, which each test adds. Owns: the values.
 * All pods share one node, so differences between nodes have no effect, and the window is old enough for a Fail.
 */

/** The parameters for a latency gate with a tolerance of 15 %. */
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
 * The parameters for a rate gate.
 * @param limit a Pass must show a rate below this limit, which is a share of requests
 */
export function askedOfRate(limit: number) {
  return { passAlpha: 0.05, toShow: limit, early: Math.max(limit, 0.05) } as const;
}
