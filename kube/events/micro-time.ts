/**
 * Kubernetes' MicroTime, used in Leases and Events: RFC 3339 in UTC with six digits of a second. JavaScript's Date
 * prints three digits, for which the API server answers 400.
 * Pure.
 */

/** @param epochMs milliseconds since 1970 */
export function microTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace(/(\.\d{3})Z$/, '$1000Z');
}
