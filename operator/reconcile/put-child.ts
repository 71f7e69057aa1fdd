/**
 * Applies one child: at most one apply, preceded by a repair if a foreign field conflicts.
 *
 * Owns:   when a child is written: not if it matches the manifest or the server's answer to our last apply, and not
 *         during the back-off of a refusal of the same write.
 * Throws: AppError NAME_TAKEN for an object with another owner; KUBE_STATUS for a write that the server refuses.
 */
import { AppError } from '../../api/errors.ts';
import { annotations, fieldManager } from '../../api/names.ts';
import { isSame, recordOf } from '../../lib/json.ts';
import { differencesOf, isApplied } from './drift.ts';
import { typeOfChild } from '../../kube/kinds.ts';
import type { CallOptions, KubeClient } from '../../kube/client/kube-client.ts';
import { isNotFound } from '../../kube/client/kube-error.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import type { RecentWrites, Refusal } from './recent-writes.ts';
import type { Manifest } from '../resources/objects.ts';
import { foreignFieldsOf, foreignText, isSameAt, repairManager, repairPatch } from './foreign-fields.ts';
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
  /** The object existed but was not in the cache, so this pass could not use its content; the next pass can. */
  readonly isNews?: boolean;
};

/** The action for a child. `refused`: do nothing until the back-off of the refusal has ended. */
export type Due = { readonly kind: 'none' | 'put' } | { readonly kind: 'refused'; readonly refusal: Refusal };

/** @param known the newest known version of the child; undefined: neither the cache nor an answer has it */
export function dueOf({ recent, clock }: PutDeps, manifest: Manifest, known: KubeObject | undefined): Due {
  const identity = identityOf(manifest);
  const before = known === undefined ? undefined : recent.converged(identity, hashOf(manifest), known);
  if (before?.isUntouched === true) return { kind: 'none' };
  if (isApplied(manifest, known, before?.answer) && !isTouched(manifest, known, before?.answer))
    return { kind: 'none' };
  const refusal = recent.refusal(identity, refusalKey(manifest, known), clock.monotonic());
  return refusal === undefined ? { kind: 'put' } : { kind: 'refused', refusal };
}

/** Whether another writer has set a field that must be removed, or may have changed one of our atomic fields. */
function isTouched(manifest: Manifest, known: KubeObject | undefined, answer: KubeObject | undefined): boolean {
  if (known === undefined) return false;
  const { takeOut, shared } = foreignFieldsOf(manifest, known);
  return takeOut.length > 0 || shared.some((field) => answer === undefined || !isSameAt(field, known, answer));
}

/** Identifies a refused write: a changed manifest or a changed object has another key and is tried at once. */
export function refusalKey(manifest: Manifest, known: KubeObject | undefined): string {
  const { generation, resourceVersion = '' } = known?.metadata ?? {};
  return `${hashOf(manifest)} ${generation ?? resourceVersion}`;
}

export async function putChild(deps: PutDeps, manifest: Manifest, known: KubeObject | undefined): Promise<Put> {
  const { client, call, recent, clock } = deps;
  const identity = identityOf(manifest);
  const found = known ?? (await findOwn(client, manifest, call));
  const wanted = withStoredData(manifest, found);
  const repairs = found === undefined ? 0 : await repair(deps, wanted, found);
  const answer = await client.apply<KubeObject>(typeOfChild(manifest.kind), wanted, {
    ...call,
    fieldManager,
    force: true,
  });
  recent.remember(identity, answer, clock.monotonic());
  recent.noteApplied(
    identity,
    hashOf(manifest),
    answer,
    differencesOf(wanted, answer).length === 0 && foreignFieldsOf(wanted, answer).shared.length === 0,
  );
  return { writes: repairs + 1, isNews: known === undefined && found !== undefined };
}

/** @returns the number of writes */
async function repair({ client, call }: PutDeps, wanted: Manifest, found: KubeObject): Promise<number> {
  const { name, namespace } = wanted.metadata;
  if (isStuck(wanted, found)) {
    const { uid } = found.metadata;
    await client.delete(
      typeOfChild(wanted.kind),
      { name, namespace },
      { ...call, ...(uid === undefined ? {} : { uid }) },
    );
    return 1;
  }
  const { takeOut } = foreignFieldsOf(wanted, found);
  if (takeOut.length === 0) return 0;
  await client.mergePatch<KubeObject>(
    typeOfChild(wanted.kind),
    { name, namespace },
    repairPatch(wanted, found, takeOut),
    { ...call, fieldManager: repairManager },
  );
  return 1;
}

/**
 * True for a ConfigMap that another writer made immutable, if its content must change. The API does not accept a change
 * of an immutable ConfigMap, so it is deleted and recreated. Running pods keep the mounted content.
 */
function isStuck(wanted: Manifest, found: KubeObject): boolean {
  if (wanted.kind !== 'ConfigMap' || recordOf(found)['immutable'] !== true) return false;
  return ['data', 'binaryData'].some((field) => !isSame(recordOf(wanted[field]), recordOf(recordOf(found)[field])));
}

/**
 * Keeps the data of a ControllerRevision that exists but was not in the cache, since data is immutable and an earlier
 * operator version may have written it. Also keeps the annotation with the result of its first pod's `prepare`.
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
 * Reads the live object before the first apply. Applies are forced, so they must not touch an object of another owner:
 * a user's Service of that name, or a child of a deleted model that is still being collected.
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

/** Names are unique within a kind and namespace. */
export function identityOf(object: { readonly kind: string; readonly metadata: { readonly name: string } }): string {
  return `${object.kind}/${object.metadata.name}`;
}
