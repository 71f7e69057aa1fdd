/**
 * JSON Patch (RFC 6902).
 * Pure. When one operation cannot be applied, the complete patch is refused. Limits: 10,000 operations.
 */
import { isRecord } from '../../../api/record.ts';
import { copyOf, isSame, put, type JsonRecord } from '../../../lib/json.ts';
import { badRequest, StatusError } from '../status.ts';

const maxOperations = 10_000;

/** The error when an operation cannot be applied. Like kube-apiserver, it gives no details. */
function impossible(): StatusError {
  return new StatusError(422, 'Invalid', 'the server rejected our request due to an error in our request', {});
}

/**
 * @returns the patched copy
 * @throws StatusError 400 for a value that is not a JSON Patch, 413 for too many operations, 422 for an operation that
 * cannot be applied
 */
export function applyJsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch) || !patch.every(isRecord))
    throw badRequest(
      `error decoding patch: json: cannot unmarshal ${isRecord(patch) ? 'object' : typeof patch} into Go value of ` +
        'type []handlers.jsonPatchOp',
    );
  if (patch.length > maxOperations)
    throw new StatusError(
      413,
      'RequestEntityTooLarge',
      `The allowed maximum operations in a JSON patch is ${maxOperations}, got ${patch.length}`,
    );
  const root = { document: copyOf(target) };
  for (const operation of patch) root.document = apply(root.document, operation);
  return root.document;
}

function apply(document: unknown, operation: JsonRecord): unknown {
  const path = steps(operation['path']);
  switch (operation['op']) {
    case 'add':
      return add(document, path, copyOf(operation['value']));
    case 'remove':
      return remove(document, path);
    case 'replace':
      return add(remove(document, path), path, copyOf(operation['value']));
    case 'copy':
      return add(document, path, copyOf(valueAt(document, steps(operation['from']))));
    case 'move': {
      const from = steps(operation['from']);
      const moved = valueAt(document, from);
      return add(remove(document, from), path, moved);
    }
    case 'test':
      if (!isSame(valueAt(document, path), operation['value'])) throw impossible();
      return document;
    default:
      throw impossible();
  }
}

function steps(pointer: unknown): string[] {
  if (typeof pointer !== 'string' || (pointer !== '' && !pointer.startsWith('/'))) throw impossible();
  return pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function valueAt(document: unknown, path: readonly string[]): unknown {
  let here: unknown = document;
  for (const step of path) {
    if (Array.isArray(here)) here = (here as unknown[])[indexOf(step, here.length - 1)];
    else if (isRecord(here) && Object.hasOwn(here, step)) here = here[step];
    else throw impossible();
  }
  return here;
}

function add(document: unknown, path: readonly string[], value: unknown): unknown {
  const last = path.at(-1);
  if (last === undefined) return value;
  const parent = valueAt(document, path.slice(0, -1));
  if (Array.isArray(parent)) parent.splice(last === '-' ? parent.length : indexOf(last, parent.length), 0, value);
  else if (isRecord(parent)) put(parent, last, value);
  else throw impossible();
  return document;
}

function remove(document: unknown, path: readonly string[]): unknown {
  const last = path.at(-1);
  if (last === undefined) return null;
  const parent = valueAt(document, path.slice(0, -1));
  if (Array.isArray(parent)) parent.splice(indexOf(last, parent.length - 1), 1);
  else if (isRecord(parent) && Object.hasOwn(parent, last)) delete parent[last];
  else throw impossible();
  return document;
}

function indexOf(step: string, most: number): number {
  const index = Number(step);
  if (!/^(0|[1-9]\d*)$/.test(step) || index > most) throw impossible();
  return index;
}
