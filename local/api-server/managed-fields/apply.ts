/**
 * Server-side apply: the resulting object and its field owners.
 * Owns: conflicts, force, and releasing fields. The caller must default and validate the result. A manager is the name
 * of a writer; it owns the fields that it wrote.
 * Pure: time is passed in.
 */
import type { StoredObject } from '../../objects.ts';
import { copyOf, recordOf, stringAt, sorted, type JsonRecord } from '../../../lib/json.ts';
import { groupVersionOf, type ObjectDraft, type Resource, type Subresource } from '../resource.ts';
import type { Cause } from '../../../kube/schema/cause.ts';
import { StatusError } from '../status.ts';
import { configProblems } from './check-config.ts';
import { isSameManager, readEntries, type ManagedEntry } from './entries.ts';
import { pathText, FieldSet } from './field-set.ts';
import { mergeValue, removeGivenUp } from './merge.ts';
import { lessened, notTracked, setEntries } from './track.ts';
import { differenceOf, fieldsOf } from './walk.ts';
import { isRecord } from '../../../api/record.ts';
import { isWithinAnnotationLimit } from '../../../kube/schema/metadata.ts';

export type Application = {
  readonly resource: Resource;
  readonly live: StoredObject | undefined;
  /** The applied configuration. Its type and name were checked before. */
  readonly config: ObjectDraft;
  readonly manager: string;
  readonly force: boolean;
  readonly subresource: Subresource;
  readonly time: string;
};

/**
 * @returns the resulting object with its managedFields
 * @throws StatusError 409 with every conflict, 500 when the configuration does not fit the schema
 */
export function applyConfig(application: Application): ObjectDraft {
  const { resource, live, config, manager, subresource, time } = application;
  checkConfig(resource, config);
  const untracked = notTracked(resource, subresource);
  const who = { manager, operation: 'Apply', apiVersion: groupVersionOf(resource), subresource } as const;
  const known = knownEntries(application);
  const own = known.find((entry) => isSameManager(entry, who));
  const fields = fieldsOf(config, resource.schema).without(untracked);
  const others = known.filter((entry) => entry !== own);
  const merged = mergeValue(live ?? {}, config, resource.schema);
  const owned = others.reduce((all, entry) => all.union(entry.fields), fields);
  const wanted = (
    own === undefined ? merged : removeGivenUp(merged, resource.schema, own.fields, owned)
  ) as ObjectDraft;
  const { added, modified, removed } = differenceOf(live ?? {}, wanted, resource.schema);
  const changed = added.union(modified).without(untracked);
  if (!application.force) refuseConflicts(others, changed, excusedConflicts(resource, live, manager));
  // As on kube-apiserver, the time of the entry changes only when the object changes.
  const isUnchanged = live !== undefined && changed.isEmpty() && removed.isEmpty();
  const entry: ManagedEntry = { ...who, fields, time: isUnchanged ? (own?.time ?? '') : time };
  const draft = copyOf(wanted);
  renewLastApplied(draft, config, manager);
  setEntries(draft, [...others.map((other) => lessened(other, changed, removed)), entry]);
  return draft;
}

/**
 * The owners of the live object's fields. Fields that were written before ownership was tracked belong to a placeholder
 * manager, `before-first-apply`.
 */
function knownEntries(application: Application): readonly ManagedEntry[] {
  const { resource, live } = application;
  if (live === undefined) return [];
  const known = readEntries(recordOf(live.metadata)['managedFields']);
  if (known.length > 0) return known;
  const fields = differenceOf({}, live, resource.schema).added.without(notTracked(resource, ''));
  return [
    {
      manager: 'before-first-apply',
      operation: 'Update',
      apiVersion: groupVersionOf(resource),
      subresource: '',
      time: application.time,
      fields,
    },
  ];
}

function checkConfig(resource: Resource, config: ObjectDraft): void {
  const { metadata: _metadata, apiVersion: _apiVersion, kind: _kind, ...body } = config as JsonRecord;
  const problems = configProblems(body, resource.schema, '');
  if (problems.length === 0) return;
  const name = `${stringAt(config.metadata, 'namespace') ?? ''}/${stringAt(config.metadata, 'name') ?? ''}`;
  const list = problems.length === 1 ? problems[0] : `errors:\n${problems.map((problem) => `  ${problem}`).join('\n')}`;
  throw new StatusError(
    500,
    '',
    `failed to create typed patch object (${name}; ${groupVersionOf(resource)}, Kind=${resource.kind}): ${list}`,
  );
}

/**
 * Refuses an apply that would change fields of other managers.
 * @param excused fields that the applier may take over without force
 * @throws StatusError 409 that names every conflict
 */
function refuseConflicts(others: readonly ManagedEntry[], changed: FieldSet, excused: FieldSet): void {
  const conflicts = others.flatMap((entry) => {
    const paths = [...entry.fields.intersection(changed).difference(excused).paths()].map(pathText);
    return paths.length === 0 ? [] : [{ who: ownerText(entry), paths }];
  });
  const count = conflicts.reduce((sum, { paths }) => sum + paths.length, 0);
  if (count === 0) return;
  const causes: Cause[] = conflicts.flatMap(({ who, paths }) =>
    paths.map((field) => ({ reason: 'FieldManagerConflict', message: `conflict with ${who}`, field })),
  );
  throw new StatusError(
    409,
    'Conflict',
    `Apply failed with ${count} conflict${count === 1 ? '' : 's'}: ${conflictText(conflicts, count)}`,
    { causes },
  );
}

function conflictText(conflicts: readonly { who: string; paths: readonly string[] }[], count: number): string {
  if (count === 1) return conflicts.map(({ who, paths }) => `conflict with ${who}: ${paths.join('')}`).join('');
  return conflicts
    .map(({ who, paths }) => `conflicts with ${who}:\n${paths.map((path) => `- ${path}`).join('\n')}`)
    .join('\n');
}

function ownerText(entry: ManagedEntry): string {
  const name = JSON.stringify(entry.manager);
  const subresource = entry.subresource === '' ? '' : ` with subresource ${JSON.stringify(entry.subresource)}`;
  return entry.operation === 'Apply' ? `${name}${subresource}` : `${name}${subresource} using ${entry.apiVersion}`;
}

const annotation = 'kubectl.kubernetes.io/last-applied-configuration';
const manager = 'kubectl';

/**
 * The fields that kubectl may take over without force: a client-side apply set them last, and their values have not
 * changed since.
 */
function excusedConflicts(resource: Resource, live: StoredObject | undefined, who: string): FieldSet {
  const text = live?.metadata.annotations?.[annotation] ?? '';
  if (who !== manager || live === undefined || text === '') return new FieldSet();
  const applied = parse(text);
  if (applied === undefined || applied['apiVersion'] !== groupVersionOf(resource)) return new FieldSet();
  const { added, modified, removed } = differenceOf(applied, live, resource.schema);
  return fieldsOf(applied, resource.schema).difference(modified).difference(added).difference(removed);
}

/**
 * Updates the last-applied annotation when kubectl applies an object that already has this annotation.
 * @param draft is changed
 */
function renewLastApplied(draft: ObjectDraft, config: ObjectDraft, who: string): void {
  const annotations = recordOf(draft.metadata['annotations']);
  if (who !== manager || (stringAt(annotations, annotation) ?? '') === '') return;
  const applied = copyOf(config);
  const own = applied.metadata['annotations'];
  if (isRecord(own)) delete own[annotation];
  annotations[annotation] = goJson(applied);
  if (!isWithinAnnotationLimit(annotations)) delete annotations[annotation];
}

function parse(text: string): JsonRecord | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * JSON as Go's encoder writes it: fields are sorted, characters of HTML are escaped, and there is a newline at the end.
 */
function goJson(value: unknown): string {
  const escaped = JSON.stringify(sorted(value)).replace(
    /[<>&\u2028\u2029]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `${escaped}\n`;
}
