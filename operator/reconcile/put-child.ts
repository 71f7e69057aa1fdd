/**
 * Makes one child what is wanted: at most one apply, and a repair before it where a foreign field is in the way.
 *
 * Owns:   when a child is written. Not when it is as wanted, or as the API server made our last apply; not while a
 *         refusal of the same write is to be waited for.
 * Throws: AppError NAME_TAKEN for an object that belongs to somebody else; KUBE_STATUS for what the server refuses.
 */
import { AppError } from '../../api/errors.ts';
import { annotations, fieldManager } from '../../api/names.ts';
import { isSame, recordOf } from '../../lib/json.ts';
import { differencesOf, isApplied } from './drift.ts';
import { typeOfChild } from '../../kube/kinds.ts';
import type { CallOptions, KubeClient } from '../../kube/client/kube-client.ts';
import { isNotFound } from '../../kube/client/kube-error.ts';
import type { KubeObject } from '../../kube/client/object.ts';
import type { RecentWrites, Refusal } from './recent-writes.ts';
import type { Manifest } from '../resources/objects.ts';
import { foreignFieldsOf, foreignText, isSameAt, repairManager, repairPatch } from './foreign-fields.ts';
import { isOwnedBy, isStripped } from '../see/ownership.ts';
import type { Clock } from '../../lib/clock.ts';

export type Putter = {
  readonly client: KubeClient;
  readonly call: CallOptions;
  readonly recent: RecentWrites;
  readonly clock: Clock;
};

export type Put = {
  readonly writes: number;
  /** No cache had shown it, and yet it was there: what it says is known from the next pass on. */
  readonly isNews?: boolean;
};

/** What is to be done with a child. `refused`: nothing, until then. */
export type Due = { readonly kind: 'none' | 'put' } | { readonly kind: 'refused'; readonly refusal: Refusal };

/** @param known as the newest source shows it; undefined: none does */
export function dueOf({ recent, clock }: Putter, manifest: Manifest, known: KubeObject | undefined): Due {
  const identity = identityOf(manifest);
  const before = known === undefined ? undefined : recent.converged(identity, hashOf(manifest), known);
  if (before?.isUntouched === true) return { kind: 'none' };
  if (isApplied(manifest, known, before?.answer) && !isTouched(manifest, known, before?.answer))
    return { kind: 'none' };
  const refusal = recent.refusal(identity, refusalKey(manifest, known), clock.monotonic());
  return refusal === undefined ? { kind: 'put' } : { kind: 'refused', refusal };
}

/** Whether somebody else has put something in that may not stay, or may have. */
function isTouched(manifest: Manifest, known: KubeObject | undefined, answer: KubeObject | undefined): boolean {
  if (known === undefined) return false;
  const { takeOut, shared } = foreignFieldsOf(manifest, known);
  return takeOut.length > 0 || shared.some((field) => answer === undefined || !isSameAt(field, known, answer));
}

/** What a refusal is about: another manifest, or an object that somebody changed since, is tried at once. */
export function refusalKey(manifest: Manifest, known: KubeObject | undefined): string {
  const { generation, resourceVersion = '' } = known?.metadata ?? {};
  return `${hashOf(manifest)} ${generation ?? resourceVersion}`;
}

export async function putChild(hands: Putter, manifest: Manifest, known: KubeObject | undefined): Promise<Put> {
  const { client, call, recent, clock } = hands;
  const identity = identityOf(manifest);
  const found = known ?? (await findOwn(client, manifest, call));
  const wanted = withStoredData(manifest, found);
  const repairs = found === undefined ? 0 : await repair(hands, wanted, found);
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

/** @returns how many writes it took */
async function repair({ client, call }: Putter, wanted: Manifest, found: KubeObject): Promise<number> {
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
 * Somebody made the ConfigMap immutable, which nobody can take back: with other content it has to be made anew. Pods
 * keep what they have mounted.
 */
function isStuck(wanted: Manifest, found: KubeObject): boolean {
  if (wanted.kind !== 'ConfigMap' || recordOf(found)['immutable'] !== true) return false;
  return ['data', 'binaryData'].some((field) => !isSame(recordOf(wanted[field]), recordOf(recordOf(found)[field])));
}

/**
 * What a revision was frozen as can never change: one that is there, made perhaps by an earlier operator, keeps its
 * data, and what its first pod learned, where this pass does not know it because no cache showed the object.
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
 * Our fields are applied by force, so a name that somebody else uses must not be touched: a user's Service of
 * that name, or a child of a model that was deleted a moment ago and is being collected.
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
 * Sentences for the status: what somebody else put into a child and stays, and what the API server made of our fields.
 */
export function toldOf({ recent }: Putter, manifest: Manifest, live: KubeObject | undefined): readonly string[] {
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
