/**
 * Stores objects after defaulting, rules, validation, field ownership and version checks. Every create and update goes
 * through this file.
 * Owns: create and update, for HTTP handlers and for the controllers in this process.
 * Rule: a call is one synchronous step from reading the old object to storing the new object, so no other write can
 * intervene. An update without a change writes nothing and keeps the resourceVersion.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import type { StoredObject } from '../objects.ts';
import { copyOf, isSame, listOf, recordOf, stringAt, type JsonRecord } from '../../lib/json.ts';
import { recordWrite, withoutTimes } from './managed-fields/track.ts';
import { validateMeta, validateMetaUpdate } from '../../kube/schema/metadata.ts';
import { groupVersionOf, type ObjectDraft, type Resource, type Subresource } from './resource.ts';
import { checkCustomObject } from '../../kube/schema/check-object.ts';
import { invalidValue, type Cause } from '../../kube/schema/cause.ts';
import {
  alreadyExists,
  conflict,
  forbidden,
  invalidObject,
  modifiedMeanwhile,
  notFound,
  StatusError,
} from './status.ts';
import { storeKeyOf, type Store } from './store.ts';
import { toTime } from './times.ts';

export type StoreWriteOptions = {
  /** The name of the writer in managedFields. */
  readonly manager: string;
  readonly dryRun?: boolean;
  readonly subresource?: Subresource;
  /**
   * Whether an update must have a resourceVersion. True: it must. False: it need not, for example a patch. Absent: it
   * must for Leases and custom resources. A resourceVersion that is present must always match.
   */
  readonly strictVersion?: boolean | undefined;
  /** True: the object already has the managedFields that an apply computed, and they are stored without a change. */
  readonly applied?: boolean;
};

const nameAlphabet = 'bcdfghjklmnpqrstvwxz2456789';
const maxGeneratedPrefix = 58;

/** Called when an update removes the last finalizer of an object that is being deleted. */
export type FinishDeletion = (resource: Resource, object: StoredObject) => void;

export type WritesDeps = { readonly store: Store; readonly clock: Clock };

export class Writes {
  readonly #store: Store;
  readonly #clock: Clock;
  finishDeletion: FinishDeletion = () => {};

  constructor(deps: WritesDeps) {
    this.#store = deps.store;
    this.#clock = deps.clock;
  }

  /**
   * Stores a new object.
   * @param draft decoded; it belongs to this call from now on
   * @throws StatusError 409 AlreadyExists, 422 Invalid, 404 or 403 when the namespace is missing or terminating
   */
  create(resource: Resource, draft: ObjectDraft, options: StoreWriteOptions): StoredObject {
    this.#checkNamespace(resource, draft);
    const object = this.#prepareNew(resource, draft);
    if (options.applied !== true)
      recordWrite({ resource, before: undefined, after: object, ...options, time: toTime(this.#clock.now()) });
    resource.rules.beforeCreate?.(object);
    const name = stringAt(object.metadata, 'name') ?? '';
    const causes = problems(resource, object, undefined);
    if (causes.length > 0)
      throw invalidObject(resource, name === '' ? (stringAt(object.metadata, 'generateName') ?? '') : name, causes);
    if (this.#store.get(resource.table, storeKeyOf(namespaceOf(object), name)) !== undefined)
      throw alreadyExists(resource, name);
    const finished = object as unknown as StoredObject;
    return options.dryRun === true ? finished : this.#store.put(resource.table, finished);
  }

  /**
   * Replaces an object.
   * @param compute makes the wanted object from the stored object; its result belongs to this call
   * @throws StatusError 404 NotFound, 409 Conflict, 422 Invalid
   */
  update(
    resource: Resource,
    key: { readonly namespace: string | undefined; readonly name: string },
    compute: (old: StoredObject) => ObjectDraft,
    options: StoreWriteOptions,
  ): StoredObject {
    const old = this.#store.get(resource.table, storeKeyOf(key.namespace, key.name));
    if (old === undefined) throw notFound(resource, key.name);
    const draft = compute(old);
    checkVersion(resource, draft, old, options);
    const object = this.#prepareChanged(resource, draft, old, options.subresource ?? '');
    const causes = problems(resource, object, old);
    if (causes.length > 0) throw invalidObject(resource, key.name, causes);
    if (options.applied !== true)
      recordWrite({ resource, before: old, after: object, ...options, time: toTime(this.#clock.now()) });
    return this.#finish(resource, object, old, options);
  }

  #finish(resource: Resource, object: ObjectDraft, old: StoredObject, options: StoreWriteOptions): StoredObject {
    object.metadata['resourceVersion'] = old.metadata.resourceVersion;
    if (isSame(withoutTimes(object), withoutTimes(old as unknown as ObjectDraft))) return old;
    const finished = object as unknown as StoredObject;
    if (options.dryRun === true) return finished;
    const deleted =
      finished.metadata.deletionTimestamp !== undefined &&
      listOf(finished.metadata.finalizers).length === 0 &&
      isDue(finished);
    // When this write deletes the object, watchers get no MODIFIED event: the DELETED event contains the change.
    if (!deleted) return this.#store.put(resource.table, finished);
    this.finishDeletion(resource, finished);
    return finished;
  }

  #checkNamespace(resource: Resource, draft: ObjectDraft): void {
    if (!resource.namespaced) return;
    const namespace = namespaceOf(draft) ?? '';
    const namespaces = { group: '', plural: 'namespaces', kind: 'Namespace' };
    const found = this.#store.get('namespaces', storeKeyOf(undefined, namespace));
    if (found === undefined) throw notFound(namespaces, namespace);
    if (found.metadata.deletionTimestamp === undefined) return;
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    const cause: Cause = {
      reason: 'NamespaceTerminating',
      message: `namespace ${namespace} is being terminated`,
      field: 'metadata.namespace',
    };
    throw forbidden(resource, stringAt(draft.metadata, 'name') ?? '', why, [cause]);
  }

  #prepareNew(resource: Resource, draft: ObjectDraft): ObjectDraft {
    const metadata = draft.metadata;
    if ((stringAt(metadata, 'resourceVersion') ?? '') !== '')
      throw new StatusError(500, '', 'resourceVersion should not be set on objects to be created');
    if (!resource.namespaced) delete metadata['namespace'];
    for (const field of [
      'deletionTimestamp',
      'deletionGracePeriodSeconds',
      'resourceVersion',
      'selfLink',
      'generation',
    ])
      delete metadata[field];
    metadata['uid'] = randomUUID();
    metadata['creationTimestamp'] = toTime(this.#clock.now());
    if (resource.rules.hasGeneration) metadata['generation'] = 1;
    startStatus(resource, draft);
    generateName(metadata);
    dropEmpty(metadata);
    resource.rules.setDefaults?.(draft);
    return draft;
  }

  #prepareChanged(resource: Resource, draft: ObjectDraft, old: StoredObject, subresource: Subresource): ObjectDraft {
    resource.rules.setDefaults?.(draft);
    const next = subresource === 'status' ? withStatusOnly(resource, draft, old) : draft;
    keepSystemFields(next, old);
    if (subresource === '' && resource.hasStatus) keepStatus(next, old);
    resource.rules.beforeUpdate?.(next, old);
    if (
      resource.rules.hasGeneration &&
      !isSame(content(next, resource), content(old as unknown as ObjectDraft, resource))
    ) {
      next.metadata['generation'] = (old.metadata.generation ?? 0) + 1;
    }
    return next;
  }
}

/**
 * Ignores the status that a client sent on create: a custom resource is stored without a status, a built-in object with
 * an empty status.
 */
function startStatus(resource: Resource, draft: ObjectDraft): void {
  if (!resource.hasStatus) return;
  if (resource.custom) delete draft['status'];
  else draft['status'] = {};
}

function generateName(metadata: JsonRecord): void {
  const prefix = stringAt(metadata, 'generateName') ?? '';
  const isNamed = (stringAt(metadata, 'name') ?? '') !== '';
  if (prefix !== '' && !isNamed) metadata['name'] = prefix.slice(0, maxGeneratedPrefix) + randomSuffix();
}

/**
 * Checks the resourceVersion and the uid of an update. A stale version is answered with 409; for another uid see
 * checkUid.
 */
function checkVersion(resource: Resource, draft: ObjectDraft, old: StoredObject, options: StoreWriteOptions): void {
  const { name, resourceVersion } = old.metadata;
  checkUid(resource, draft, old, options);
  const asked = stringAt(draft.metadata, 'resourceVersion') ?? '';
  const needsVersion = options.strictVersion ?? (resource.custom || resource.kind === 'Lease');
  if (asked === '' && needsVersion)
    throw invalidObject({ ...resource, kind: resource.plural }, name, [
      invalidValue('metadata.resourceVersion', 0, 'must be specified for an update'),
    ]);
  if (asked !== '' && asked !== resourceVersion) throw conflict(resource, name, modifiedMeanwhile);
}

/**
 * Checks the uid. In an update the uid is a precondition, so another uid is answered with 409. In a patch the uid is an
 * immutable field, so another uid is answered with 422.
 */
function checkUid(resource: Resource, draft: ObjectDraft, old: StoredObject, options: StoreWriteOptions): void {
  const { name, uid } = old.metadata;
  const asked = stringAt(draft.metadata, 'uid') ?? '';
  if (asked === '' || asked === uid) return;
  if (options.strictVersion === false)
    throw invalidObject(resource, name, [invalidValue('metadata.uid', asked, 'field is immutable')]);
  throw conflict(resource, name, `Precondition failed: UID in precondition: ${asked}, UID in object meta: ${uid}`);
}

/** Restores the metadata that only the server may write. A different value in the draft is not an error. */
function keepSystemFields(draft: ObjectDraft, old: StoredObject): void {
  const before = recordOf(old.metadata);
  for (const field of [
    'name',
    'namespace',
    'uid',
    'creationTimestamp',
    'generation',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'generateName',
  ]) {
    if (before[field] === undefined) delete draft.metadata[field];
    else draft.metadata[field] = before[field];
  }
  delete draft.metadata['selfLink'];
  dropEmpty(draft.metadata);
}

/** Removes empty maps and lists from the metadata. They are not stored, because their Go types omit them. */
function dropEmpty(metadata: Record<string, unknown>): void {
  for (const field of ['labels', 'annotations', 'ownerReferences', 'finalizers', 'managedFields']) {
    const value = metadata[field];
    if (value === null || (typeof value === 'object' && Object.keys(value).length === 0)) delete metadata[field];
  }
  for (const field of ['generateName', 'namespace', 'name']) if (metadata[field] === '') delete metadata[field];
}

function keepStatus(draft: ObjectDraft, old: StoredObject): void {
  if (old['status'] === undefined) delete draft['status'];
  else draft['status'] = old['status'];
}

/**
 * The object after a write to /status: the old object with the new status. For a custom resource, changes of the
 * metadata are ignored.
 */
function withStatusOnly(resource: Resource, draft: ObjectDraft, old: StoredObject): ObjectDraft {
  const next = copyOf(old) as unknown as ObjectDraft;
  if (draft['status'] === undefined) delete next['status'];
  else next['status'] = draft['status'];
  const managedFields = draft.metadata['managedFields'];
  const metadata = resource.custom ? next.metadata : { ...draft.metadata };
  if (managedFields !== undefined) metadata['managedFields'] = managedFields;
  next.metadata = metadata;
  return next;
}

/**
 * The fields whose changes increase the generation: all fields except metadata and status. Some resources also count
 * annotations. A resource without the subresource `status` also counts the field `status`.
 */
function content(draft: ObjectDraft, resource: Resource): Record<string, unknown> {
  const { metadata: _metadata, status: _status, ...rest } = draft;
  const counted =
    resource.rules.countsAnnotations === true ? { ...rest, annotations: draft.metadata['annotations'] ?? {} } : rest;
  return resource.hasStatus || _status === undefined ? counted : { ...counted, status: _status };
}

/** Whether an object without finalizers may be removed. A pod must first wait for its grace period. */
function isDue(object: StoredObject): boolean {
  return (object.metadata.deletionGracePeriodSeconds ?? 0) === 0;
}

export function namespaceOf(object: { readonly metadata: unknown }): string | undefined {
  const namespace = stringAt(object.metadata, 'namespace');
  return namespace === '' ? undefined : namespace;
}

function problems(resource: Resource, object: ObjectDraft, old: StoredObject | undefined): readonly Cause[] {
  const ofMeta = [
    ...validateMeta(object, nameShape(resource)),
    ...(old === undefined ? [] : validateMetaUpdate(object, old)),
  ];
  if (resource.custom) return checkCustomObject(resource, object, old, ofMeta);
  return [...ofMeta, ...(resource.rules.validate?.(object, old) ?? [])];
}

function nameShape(resource: Resource): 'label' | 'subdomain' {
  return resource.kind === 'Namespace' || resource.kind === 'Service' ? 'label' : 'subdomain';
}

function randomSuffix(): string {
  return [...randomBytes(5)].map((byte) => nameAlphabet[byte % nameAlphabet.length]).join('');
}

/** The resource in an error message: `example.com/v1, Resource=widgets`. */
export function describe(resource: Resource): string {
  return `${groupVersionOf(resource)}, Resource=${resource.plural}`;
}
