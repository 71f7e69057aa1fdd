/** Type guards for JSON that another process wrote. Pure. */

/** Whether the value is a JSON object: neither null nor a list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The value under a name from untrusted input. A plain lookup would also find inherited properties:
 * `table['constructor']` is a function.
 *
 * @returns undefined when the object itself has no such field
 */
export function ownValue<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/** @returns the object in a text `{"schema": 1, …}`; undefined when the text does not have this form */
export function parseSchemaOne(text: string): Readonly<Record<string, unknown>> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isRecord(value) && value['schema'] === 1 ? value : undefined;
}
