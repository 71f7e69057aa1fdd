/** Telling objects from what else JSON may hold, for whoever reads what another process wrote. Pure. */

/** An object with fields: neither null nor a list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The value under a name that came from outside. A plain lookup would also find what every object inherits:
 * `table['constructor']` is a function.
 *
 * @returns undefined when the object itself has no such field
 */
export function ownValue<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/** @returns the object of a text `{"schema": 1, …}`; undefined when the text is not JSON of that form */
export function parseSchemaOne(text: string): Readonly<Record<string, unknown>> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isRecord(value) && value['schema'] === 1 ? value : undefined;
}
