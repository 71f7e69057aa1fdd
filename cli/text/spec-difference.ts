/**
 * The differences between two specs, as lines of text and as a JSON patch from one to the other.
 *
 * Owns: the order (by path) and the format of the lines; lists are compared item by item. Pure.
 */
import { revisionFieldNames, type RevisionSpec } from '../../api/onnxmodel.ts';
import { isRecord } from '../../api/record.ts';
import type { JsonPatchOperation } from '../../kube/client/http-client.ts';

export type SpecDifference = {
  readonly path: string;
  /** The value in the older spec. Absent: the field is added. */
  readonly before?: unknown;
  /** The value in the newer spec. Absent: the field is removed. */
  readonly after?: unknown;
};

/** The differences between two values. @param path the path of both values, such as `spec.model` */
export function differences(before: unknown, after: unknown, path: string): readonly SpecDifference[] {
  if (isRecord(before) && isRecord(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return keys.flatMap((key) => differences(before[key], after[key], `${path}.${key}`));
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    return Array.from({ length: Math.max(before.length, after.length) }, (_, i) =>
      differences(before[i], after[i], `${path}[${i}]`),
    ).flat();
  }
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  return [{ path, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) }];
}

/**
 * The differences as lines: `- spec.execution.precision: "INT8"` for each old value, and a line with `+` for each new
 * value.
 */
export function differenceLines(all: readonly SpecDifference[]): readonly string[] {
  return all.flatMap(({ path, before, after }) => [
    ...(before === undefined ? [] : [`- ${path}: ${JSON.stringify(before)}`]),
    ...(after === undefined ? [] : [`+ ${path}: ${JSON.stringify(after)}`]),
  ]);
}

/**
 * A JSON patch (RFC 6902) that sets the fields that identify a revision to their values in `after`. Other fields of the
 * spec do not change.
 */
export function revisionPatch(before: RevisionSpec, after: RevisionSpec): readonly JsonPatchOperation[] {
  return revisionFieldNames.flatMap((name): JsonPatchOperation[] => {
    const [old, wanted] = [before[name], after[name]];
    if (JSON.stringify(old) === JSON.stringify(wanted)) return [];
    if (wanted === undefined) return [{ op: 'remove', path: `/spec/${name}` }];
    return [{ op: old === undefined ? 'add' : 'replace', path: `/spec/${name}`, value: wanted }];
  });
}

/** The fields of a spec that identify a revision. */
export function revisionPart(spec: RevisionSpec): RevisionSpec {
  return Object.fromEntries(
    revisionFieldNames.filter((name) => spec[name] !== undefined).map((name) => [name, spec[name]]),
  ) as RevisionSpec;
}
