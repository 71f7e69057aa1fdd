/**
 * Describes what is wrong with one field of an object (a cause), as kube-apiserver (the real server) does.
 * Pure. Reasons and sentences are the same as the real server's, because users search for them.
 */

/** `reason` is the API's word, such as FieldValueInvalid; `field` is a path such as `spec.parts[0]`. */
export type Cause = { readonly reason: string; readonly message: string; readonly field?: string };

/**
 * An invalid value as the real server prints it: strings with quotes, numbers and booleans without, other values as
 * JSON.
 */
export function shownValue(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  return JSON.stringify(value);
}

export function invalidValue(field: string, value: unknown, why: string): Cause {
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${shownValue(value)}: ${why}`, field };
}

export function requiredValue(field: string, why = ''): Cause {
  return { reason: 'FieldValueRequired', message: why === '' ? 'Required value' : `Required value: ${why}`, field };
}

export function unsupportedValue(field: string, value: unknown, supported: readonly string[]): Cause {
  return {
    reason: 'FieldValueNotSupported',
    message:
      `Unsupported value: ${shownValue(value)}: supported values: ` +
      `${supported.map((one) => JSON.stringify(one)).join(', ')}`,
    field,
  };
}

export function forbiddenValue(field: string, why: string): Cause {
  return { reason: 'FieldValueForbidden', message: `Forbidden: ${why}`, field };
}

export function duplicateValue(field: string, value: unknown): Cause {
  return { reason: 'FieldValueDuplicate', message: `Duplicate value: ${shownValue(value)}`, field };
}
