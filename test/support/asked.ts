/**
 * The parameters by which a gate (a limit on one measure of a candidate) is judged. Each test adds the counts, and the
 * error probability α of the verdict Fail. Owns: the values. All pods share one node, so differences between nodes have
 * no effect. The window (the time in which the candidate is judged) is old enough for a Fail.
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
 * @param limit the upper limit of the rate, as a share of requests; a Pass must show a lower rate
 */
export function askedOfRate(limit: number) {
  return { passAlpha: 0.05, toShow: limit, early: Math.max(limit, 0.05) } as const;
}
