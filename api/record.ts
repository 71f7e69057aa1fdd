/** Telling objects from what else JSON may hold, for whoever reads what another process wrote. Pure. */

/** An object with fields: neither null nor a list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
