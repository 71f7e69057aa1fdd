/**
 * Moves the ownership of fields that this command wrote to the field manager that applies the manifest. This is
 * necessary because an apply only removes fields that its manager owns. Intents (fields of spec.rollout) are not moved:
 * the manifest does not contain them.
 *
 * Limits: entries of managedFields for a subresource are ignored. Pure.
 */
import { isRecord } from '../../api/record.ts';
import type { ManagedFieldsEntry, ObjectMeta } from '../../api/kube-object.ts';
import { cliManager, lastAppliedAnnotation } from './ownership.ts';

type Fields = Readonly<Record<string, unknown>>;

/**
 * The field manager that applies this model's manifest. A manager that used a server-side apply is preferred, then the
 * owner of kubectl's annotation, then any other writer of the spec. When several managers have the same preference, the
 * one with the latest write is used. Undefined when no other manager applies the manifest.
 */
export function applierOf(metadata: Pick<ObjectMeta, 'managedFields'>): ManagedFieldsEntry | undefined {
  const others = (metadata.managedFields ?? []).filter((entry) => !isMine(entry) && isWriter(entry));
  const ranks: readonly ((entry: ManagedFieldsEntry) => boolean)[] = [
    ({ operation }) => operation === 'Apply',
    ownsAnnotation,
    () => true,
  ];
  for (const fits of ranks) {
    const [last] = others.filter(fits).sort((a, b) => timeOf(b).localeCompare(timeOf(a)));
    if (last !== undefined) return last;
  }
  return undefined;
}

/**
 * The new metadata.managedFields, in which `heir` owns the fields that this command owned, except intents. If `heir`
 * lost its last field to this command, the entry of `heir` is added again. Undefined when this command owns only
 * intents.
 */
export function handedOver(
  metadata: Pick<ObjectMeta, 'managedFields'>,
  heir: ManagedFieldsEntry,
): readonly ManagedFieldsEntry[] | undefined {
  const entries = metadata.managedFields ?? [];
  const given = entries
    .filter(isMine)
    .map((entry) => withoutIntents(fieldsOf(entry)))
    .reduce(union, {});
  if (Object.keys(given).length === 0) return undefined;
  const isHeir = ({ manager, operation, apiVersion, subresource }: ManagedFieldsEntry): boolean =>
    manager === heir.manager && operation === heir.operation && apiVersion === heir.apiVersion && isMain(subresource);
  const there = entries.some(isHeir) ? entries : [...entries, { ...heir, fieldsV1: {} }];
  return there.flatMap((entry): readonly ManagedFieldsEntry[] => {
    if (isHeir(entry)) return [{ ...entry, fieldsV1: union(fieldsOf(entry), given) }];
    if (!isMine(entry)) return [entry];
    const kept = onlyIntents(fieldsOf(entry));
    return kept === undefined ? [] : [{ ...entry, fieldsV1: kept }];
  });
}

const timeOf = ({ time }: ManagedFieldsEntry): string => time ?? '';
const isMine = ({ manager, operation, subresource }: ManagedFieldsEntry): boolean =>
  manager === cliManager && operation === 'Update' && isMain(subresource);
const isMain = (subresource: string | undefined): boolean => subresource === undefined || subresource === '';

/**
 * True when the manager wrote a field of the spec other than spec.rollout and spec.replicas. Such a manager applies the
 * manifest. In contrast, an autoscaler writes only spec.replicas, and a user who pauses a rollout writes only
 * spec.rollout.
 */
function isWriter(entry: ManagedFieldsEntry): boolean {
  const spec = fieldsOf(entry)['f:spec'];
  return (
    isMain(entry.subresource) &&
    isRecord(spec) &&
    Object.keys(spec).some((key) => key !== 'f:rollout' && key !== 'f:replicas' && key !== '.')
  );
}

function ownsAnnotation(entry: ManagedFieldsEntry): boolean {
  const meta = fieldsOf(entry)['f:metadata'];
  const annotations = isRecord(meta) ? meta['f:annotations'] : undefined;
  return isRecord(annotations) && Object.hasOwn(annotations, `f:${lastAppliedAnnotation}`);
}

function fieldsOf({ fieldsV1 }: ManagedFieldsEntry): Fields {
  return isRecord(fieldsV1) ? fieldsV1 : {};
}

function withoutIntents(fields: Fields): Fields {
  const { 'f:spec': spec, ...rest } = fields;
  if (!isRecord(spec)) return rest;
  const others = Object.fromEntries(Object.entries(spec).filter(([key]) => key !== 'f:rollout' && key !== '.'));
  return Object.keys(others).length === 0 ? rest : { ...rest, 'f:spec': others };
}

function onlyIntents(fields: Fields): Fields | undefined {
  const spec = fields['f:spec'];
  const rollout = isRecord(spec) ? spec['f:rollout'] : undefined;
  return rollout === undefined ? undefined : { 'f:spec': { 'f:rollout': rollout } };
}

/** The union of two field sets in the format of managedFields (FieldsV1). */
function union(a: Fields, b: Fields): Fields {
  const result: Record<string, unknown> = { ...a };
  for (const [key, value] of Object.entries(b)) {
    const known = result[key];
    result[key] = isRecord(known) && isRecord(value) ? union(known, value) : (known ?? value);
  }
  return result;
}
