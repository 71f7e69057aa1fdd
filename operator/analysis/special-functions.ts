/**
 * Log-gamma and log-beta, to full double precision over the range of request counts.
 *
 * Pure: no state. Checked against published values and identities in the tests.
 * Why: the judge needs only two functions of this kind; a numerics library would add hundreds.
 */

/**
 * Coefficients of Stirling's series, B(2n) / (2n (2n-1)), highest first. Abramowitz & Stegun, Handbook (1964), 6.1.41.
 */
const [s8, s7, s6, s5] = [-3617 / 122400, 1 / 156, -691 / 360360, 1 / 1188] as const;
const [s4, s3, s2, s1] = [-1 / 1680, 1 / 1260, -1 / 360, 1 / 12] as const;
const halfLogTwoPi = 0.5 * Math.log(2 * Math.PI);
/** From this argument on, the series above is exact to the last digits of a double. */
const seriesFrom = 10;

/**
 * ln Γ(x).
 *
 * Stirling's series (Abramowitz & Stegun 6.1.41) after raising a small argument by the recurrence
 * Γ(x + 1) = x Γ(x).
 * @param x above 0; NaN otherwise
 */
export function logGamma(x: number): number {
  if (!(x > 0)) return NaN;
  let raised = x;
  let factor = 1;
  while (raised < seriesFrom) {
    factor *= raised;
    raised += 1;
  }
  const y = 1 / (raised * raised);
  // Horner's scheme is written out, because the judge spends most of its time here.
  const series = ((((((s8 * y + s7) * y + s6) * y + s5) * y + s4) * y + s3) * y + s2) * y + s1;
  const whole = (raised - 0.5) * Math.log(raised) - raised + halfLogTwoPi + series / raised;
  return factor === 1 ? whole : whole - Math.log(factor);
}

/** ln B(a, b) = ln Γ(a) + ln Γ(b) - ln Γ(a + b), for a and b above 0. */
export function logBeta(a: number, b: number): number {
  return logGamma(a) + logGamma(b) - logGamma(a + b);
}
