/**
 * Kubernetes' MicroTime, used in Leases and Events: RFC 3339 in UTC with six digits of a second. The API server answers
 * 400 to the three digits that JavaScript's Date prints.
 * Pure.
 */

/** @param epochMs milliseconds since 1970 */
export function microTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace(/(\.\d{3})Z$/, '$1000Z');
}
