/**
 * JSON Merge Patch (RFC 7386): objects are merged, null removes a field, and any other value replaces the old value.
 * Pure.
 */
import { isRecord } from '../../../api/record.ts';
import { copyOf, put, type JsonRecord } from '../../../lib/json.ts';
import { badRequest } from '../status.ts';

/**
 * @returns the patched copy
 * @throws StatusError 400 when the patch is not an object
 */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch))
    throw badRequest(
      `error decoding patch: json: cannot unmarshal ${Array.isArray(patch) ? 'array' : typeof patch} into Go ` +
        'value of type map[string]interface {}',
    );
  return merge(target, patch);
}

function merge(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return copyOf(patch);
  const out: JsonRecord = isRecord(target) ? { ...target } : {};
  for (const [field, value] of Object.entries(patch)) {
    if (value === null) delete out[field];
    else put(out, field, merge(Object.hasOwn(out, field) ? out[field] : undefined, value));
  }
  return out;
}
