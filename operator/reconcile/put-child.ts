/**
 * Writes one child (an object that the operator makes for a model): a creation, one patch, or a server-side apply.
 *
 * Owns: when a child is written. A child is not written if it matches the manifest or the server's answer to our last
 * apply. It is also not written during the back-off after the same write was refused.
 * Throws: AppError NAME_TAKEN for an object with another owner; KUBE_STATUS for a write that the server refuses.
 */
import { AppError } from '../../api/errors.ts';
import { annotations, fieldManager } from '../../api/names.ts';
import { present } from '../../api/present.ts';
import { isSame, recordOf, type JsonRecord } from '../../lib/json.ts';
import { differencesOf, isApplied } from './drift.ts';
import { typeOfChild } from '../../kube/kinds.ts';
import type { CallOptions, KubeClient, PatchOptions } from '../../kube/client/kube-client.ts';
import { isAlreadyExists, isNotFound, statusError } from '../../kube/client/kube-error.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import type { RecentWrites, Refusal } from './recent-writes.ts';
import type { Manifest } from '../resources/objects.ts';
import { lacksAddress, withStoredAddress } from './service-address.ts';
import { conversionPatch, convertedEntries, fieldShapeOf } from './child-patch.ts';
import { foreignFieldsOf, foreignText, isSameAt, repairManager, repairPatch, updatePatch } from './foreign-fields.ts';
import { isOwnedBy, isStripped } from '../see/ownership.ts';
import type { Clock } from '../../lib/clock.ts';

export type PutDeps = {
  readonly client: KubeClient;
  readonly call: CallOptions;
  readonly recent: RecentWrites;
  readonly clock: Clock;
};

export type Put = {
  readonly writes: number;
  /**
   * True: the object existed but was not in the cache, so this pass could not use its content. The next pass can use
   * it.
   */
  readonly isNews?: boolean;
};

/** The action for a child. `refused`: do nothing until the back-off of the refusal has ended. */
export type Due = { readonly kind: 'none' | 'put' } | { readonly kind: 'refused'; readonly refusal: Refusal };

/**
 * @param known the newest known version of the child; undefined when neither the cache nor an answer to a write
 * contains the child
 */
export function dueOf({ recent, clock }: PutDeps, manifest: Manifest, known: KubeObject | undefined): Due {
  const identity = identityOf(manifest);
  const before = known === undefined ? undefined : recent.converged(identity, hashOf(manifest), known);
  if (before?.isUntouched === true) return { kind: 'none' };
  if (isAsWanted(manifest, known, before?.answer)) return { kind: 'none' };
  const refusal = recent.refusal(identity, refusalKey(manifest, known), clock.monotonic());
  return refusal === undefined ? { kind: 'put' } : { kind: 'refused', refusal };
}

function isAsWanted(manifest: Manifest, known: KubeObject | undefined, answer: KubeObject | undefined): boolean {
  return isApplied(manifest, known, answer) && !isTouched(manifest, known, answer) && !lacksAddress(manifest, known);
}

/** Whether another writer has set a field that must be removed, or may have changed one of our atomic fields. */
function isTouched(manifest: Manifest, known: KubeObject | undefined, answer: KubeObject | undefined): boolean {
  if (known === undefined) return false;
  const { takeOut, shared } = foreignFieldsOf(manifest, known);
  return takeOut.length > 0 || shared.some((field) => answer === undefined || !isSameAt(field, known, answer));
}

/**
 * Identifies a refused write. A changed manifest or a changed object has another key, so its write is tried at once.
 */
export function refusalKey(manifest: Manifest, known: KubeObject | undefined): string {
  const { generation, resourceVersion = '' } = known?.metadata ?? {};
  return `${hashOf(manifest)} ${generation ?? resourceVersion}`;
}

export async function putChild(deps: PutDeps, manifest: Manifest, known: KubeObject | undefined): Promise<Put> {
  const found = known ?? (await createdOrFound(deps, manifest));
  if ('created' in found) return noted(deps, manifest, { wanted: manifest, answer: found.created, writes: 1 });
  // Without `known`, the pass did not use the stored data, so a difference is not a decision.
  const isAnew = known !== undefined && hasOtherImage(manifest, known);
  const wanted = isAnew ? manifest : withStoredAddress(withStoredData(manifest, found), found);
  try {
    const { answer, writes } =
      isAnew || isStuck(wanted, found) ? await recreate(deps, wanted, found) : await change(deps, wanted, found);
    return { ...noted(deps, manifest, { wanted, answer, writes }), isNews: known === undefined };
  } catch (error) {
    if (known === undefined || !isNotFound(error)) throw error;
    // The object has been deleted: create it again.
    deps.recent.forget(identityOf(manifest));
    return putChild(deps, manifest, undefined);
  }
}

type Written = { readonly answer: KubeObject; readonly writes: number };

function noted(
  { recent, clock }: PutDeps,
  manifest: Manifest,
  { wanted, answer, writes }: Written & { readonly wanted: Manifest },
): Put {
  const identity = identityOf(manifest);
  recent.remember(identity, answer, clock.monotonic());
  recent.noteApplied(
    identity,
    { hash: hashOf(manifest), shape: fieldShapeOf(wanted) },
    answer,
    differencesOf(wanted, answer).length === 0 && foreignFieldsOf(wanted, answer).shared.length === 0,
  );
  return { writes };
}

/**
 * Creates the object, or returns the object that exists. The existing object is read only after the server refused the
 * creation because the name is taken.
 */
async function createdOrFound(
  deps: PutDeps,
  manifest: Manifest,
): Promise<KubeObject | { readonly created: KubeObject }> {
  const { client, call } = deps;
  try {
    return {
      created: await client.create<KubeObject>(typeOfChild(manifest.kind), manifest, ours(call)),
    };
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    const found = await findOwn(client, manifest, call);
    // The object was deleted between the two requests: the next pass creates it.
    if (found === undefined) throw error;
    return found;
  }
}

/**
 * One patch is enough if only values differ from the last manifest that this process wrote to the object. Otherwise a
 * server-side apply is needed, because one of our fields may have to be removed. Before the apply, our Update entries
 * in managedFields are converted to Apply entries.
 */
async function change(deps: PutDeps, wanted: Manifest, found: KubeObject): Promise<Written> {
  const { client, call, recent } = deps;
  const { takeOut } = foreignFieldsOf(wanted, found);
  if (recent.shape(identityOf(wanted), found.metadata.uid) === fieldShapeOf(wanted))
    return { answer: await patch(deps, wanted, updatePatch(wanted, found, takeOut), fieldManager), writes: 1 };
  // If the answer to this apply is lost, the object may have fields that the remembered shape (field paths) lacks.
  recent.forgetShape(identityOf(wanted));
  const converted = await convert(deps, wanted, found);
  if (takeOut.length > 0) await patch(deps, wanted, repairPatch(wanted, converted.live, takeOut), repairManager);
  const { uid } = converted.live.metadata;
  const target = { ...wanted, metadata: { ...wanted.metadata, ...present({ uid }) } };
  const answer = await client.apply<KubeObject>(typeOfChild(wanted.kind), target, {
    ...call,
    fieldManager,
    force: true,
  });
  return { answer, writes: converted.writes + (takeOut.length > 0 ? 1 : 0) + 1 };
}

/**
 * @returns the object after the conversion, and the number of writes
 * @throws AppError KUBE_STATUS 409 when another object has the name now; the next pass checks the owner of this object
 */
async function convert(
  deps: PutDeps,
  wanted: Manifest,
  found: KubeObject,
): Promise<{ readonly live: KubeObject; readonly writes: number }> {
  const { name, namespace } = wanted.metadata;
  const live = await deps.client.get<KubeObject>(typeOfChild(wanted.kind), { name, namespace }, deps.call);
  if (live.metadata.uid !== found.metadata.uid)
    throw statusError({ status: 409, reason: 'Conflict', message: `${identityOf(wanted)} was deleted and made again` });
  const entries = convertedEntries(live.metadata.managedFields);
  return entries === undefined
    ? { live, writes: 0 }
    : { live: await patch(deps, wanted, conversionPatch(live, entries), fieldManager), writes: 1 };
}

function patch(
  { client, call }: PutDeps,
  { kind, metadata: { name, namespace } }: Manifest,
  change: JsonRecord,
  manager: string,
): Promise<KubeObject> {
  return client.mergePatch<KubeObject>(typeOfChild(kind), { name, namespace }, change, {
    ...ours(call),
    fieldManager: manager,
  });
}

/**
 * Options of our writes. With `strict`, a field that the server does not know is an error; otherwise, the server would
 * drop the field.
 */
function ours(call: CallOptions): PatchOptions {
  return { ...call, fieldManager, strict: true };
}

async function recreate({ client, call }: PutDeps, wanted: Manifest, found: KubeObject): Promise<Written> {
  const type = typeOfChild(wanted.kind);
  const { name, namespace } = wanted.metadata;
  const { uid } = found.metadata;
  await client.delete(type, { name, namespace }, { ...call, ...(uid === undefined ? {} : { uid }) });
  return { answer: await client.create<KubeObject>(type, wanted, ours(call)), writes: 2 };
}

/**
 * True if the API refuses the change, so that the object is deleted and recreated: a headless Service that needs a
 * cluster IP for a route, or a ConfigMap whose content must change although another writer made it immutable. Running
 * pods keep the mounted content.
 */
function isStuck(wanted: Manifest, found: KubeObject): boolean {
  if (lacksAddress(wanted, found)) return true;
  if (wanted.kind !== 'ConfigMap' || recordOf(found)['immutable'] !== true) return false;
  return ['data', 'binaryData'].some((field) => !isSame(recordOf(wanted[field]), recordOf(recordOf(found)[field])));
}

/**
 * True for the ControllerRevision of a revision that is made again with another image (operator/see/revision-image.ts).
 */
function hasOtherImage(manifest: Manifest, found: KubeObject): boolean {
  if (manifest.kind !== 'ControllerRevision') return false;
  const [wanted, stored] = [imageIn(manifest), imageIn(found)];
  return stored !== undefined && wanted !== stored;
}

/** The runtime's image in the data of a ControllerRevision. */
function imageIn(object: KubeObject | Manifest): unknown {
  return recordOf(recordOf(recordOf(recordOf(object)['data'])['spec'])['runtime'])['image'];
}

/**
 * The manifest of a ControllerRevision, with the data of the stored ControllerRevision if one exists: the data is
 * immutable, and an earlier version of the operator may have written different data. The annotation with the result of
 * `prepare` is also taken from the stored object.
 */
function withStoredData(manifest: Manifest, found: KubeObject | undefined): Manifest {
  if (manifest.kind !== 'ControllerRevision' || found === undefined) return manifest;
  const { data = manifest['data'], revision } = recordOf(found);
  const kept = isSame(data, manifest['data']) ? manifest : { ...manifest, data, revision };
  const learned = found.metadata.annotations?.[annotations.resolved];
  const { metadata } = kept;
  if (learned === undefined || metadata.annotations?.[annotations.resolved] !== undefined) return kept;
  return {
    ...kept,
    metadata: { ...metadata, annotations: { ...metadata.annotations, [annotations.resolved]: learned } },
  };
}

/**
 * Reads the live object before the first apply. An apply is forced, so it must not be sent for an object of another
 * owner: a user's Service with the same name, or a child of a deleted model that the garbage collector has not deleted
 * yet.
 *
 * @returns undefined when the name is free
 * @throws AppError NAME_TAKEN
 */
async function findOwn(
  client: KubeClient,
  { kind, metadata: { name, namespace, ownerReferences } }: Manifest,
  call: CallOptions,
): Promise<KubeObject | undefined> {
  let found: KubeObject;
  try {
    found = await client.get<KubeObject>(typeOfChild(kind), { name, namespace }, call);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
  const [model] = ownerReferences;
  if (isOwnedBy(found, model?.uid) || isStripped(found, model?.name)) return found;
  const owners = found.metadata.ownerReferences ?? [];
  throw new AppError('NAME_TAKEN', {
    kind,
    name,
    owner: owners.map((owner) => `${owner.kind} ${owner.name}`).join(', '),
  });
}

/**
 * Sentences for the status: fields of other writers that stay, and our fields that the API server or a webhook changed.
 */
export function toldOf({ recent }: PutDeps, manifest: Manifest, live: KubeObject | undefined): readonly string[] {
  if (live === undefined) return [];
  const name = identityOf(manifest);
  const kept = foreignFieldsOf(manifest, live)
    .kept.filter(({ path }) => !path.includes('metadata'))
    .map((field) => `${name}: ${foreignText(field)}`);
  const answer = recent.converged(name, hashOf(manifest), live)?.answer;
  const changed =
    answer === undefined
      ? []
      : differencesOf(manifest, answer).map((path) => `${name}: ${path} (changed by the API server or a webhook)`);
  return [...kept, ...changed];
}

function hashOf(manifest: Manifest): string {
  return manifest.metadata.annotations?.[annotations.applied] ?? '';
}

/**
 * The key of an object among the children of a model. Kind and name are enough, because all children are in the model's
 * namespace.
 */
export function identityOf(object: { readonly kind: string; readonly metadata: { readonly name: string } }): string {
  return `${object.kind}/${object.metadata.name}`;
}
