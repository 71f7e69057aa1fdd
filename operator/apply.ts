/**
 * Makes the cluster what is wanted: server-side apply of what differs, deletion of what is left over.
 *
 * Owns:  the order of writes and which leftovers may go. Writes nothing that would change nothing.
 * Rule:  leftovers go only after everything wanted is there, so that nothing loses its pods before traffic has
 *        left it. A manifest that is refused holds up its own revision only; the pass then fails and names it.
 */
import { AppError, kindOf, messageOf } from '../api/errors.ts';
import { fieldManager, labels } from '../api/names.ts';
import type { Clock } from '../lib/clock.ts';
import { isApplied, stamped } from './drift.ts';
import { childTypes, configMaps, controllerRevisions, deployments, services } from './kube-objects.ts';
import type { CallOptions, KubeClient } from './kube/kube-client.ts';
import { isNotFound } from './kube/kube-error.ts';
import type { KubeObject } from './kube/object.ts';
import type { ResourceType } from './kube/resource-type.ts';
import type { ApplyFailure, Seen } from './observe.ts';
import type { RecentWrites } from './recent-writes.ts';
import type { Manifest } from './resources/objects.ts';
import { candidateOf, stableOf, type Decision, type Revision } from './rollout/state.ts';

const typeOfKind: Readonly<Record<string, ResourceType>> = { Service: services, Deployment: deployments, ConfigMap: configMaps, ControllerRevision: controllerRevisions };

export type Applied = { readonly writes: number; readonly failure?: ApplyFailure; readonly error?: unknown };

type Wanted = { readonly decision: Decision; readonly manifests: readonly Manifest[] };
type Hands = { readonly client: KubeClient; readonly call: CallOptions; readonly recent: RecentWrites; readonly clock: Clock };

export async function apply({ client, call, recent, clock }: Hands, seen: Seen, want: Wanted): Promise<Applied> {
  const { decision, manifests } = want;
  const live = new Map(seen.children.map((object) => [identityOf(object), object]));
  let writes = 0;
  let failed: { readonly error: unknown; readonly failure: ApplyFailure } | undefined;
  for (const manifest of manifests.map(stamped)) {
    // What belongs to a revision that was refused waits; the others and their traffic do not wait for it.
    if (failed !== undefined && concerns(failed.failure, manifest, decision)) continue;
    const identity = identityOf(manifest);
    const known = recent.newest(identity, live.get(identity), clock.monotonic());
    if (isApplied(manifest, known)) continue;
    try {
      if (known === undefined) await assertFree(client, manifest, call);
      recent.remember(identity, await client.apply<KubeObject>(typeOf(manifest.kind), manifest, { ...call, fieldManager, force: true }), clock.monotonic());
      writes += 1;
    } catch (error) {
      failed ??= { error, failure: failureOf(manifest, error) };
    }
  }
  if (failed !== undefined) return { writes, ...failed };
  for (const leftover of leftoversOf(seen, decision)) {
    await remove(client, leftover, call);
    recent.forget(identityOf(leftover));
    writes += 1;
  }
  return { writes };
}

/** The rest of the refused revision, and the entry Service if that revision is to serve. */
function concerns(failure: ApplyFailure, manifest: Manifest, decision: Decision): boolean {
  const revision = manifest.metadata.labels[labels.revision] ?? decision.serve;
  return failure.revision === undefined || failure.revision === revision;
}

/**
 * Our fields are applied by force, so a name that somebody else uses must not be touched: a user's Service of
 * that name, or a child of a model that was deleted a moment ago and is being collected.
 *
 * @throws AppError NAME_TAKEN
 */
async function assertFree(client: KubeClient, { kind, metadata: { name, namespace, ownerReferences } }: Manifest, call: CallOptions): Promise<void> {
  let found: KubeObject;
  try {
    found = await client.get<KubeObject>(typeOf(kind), { name, namespace }, call);
  } catch (error) {
    if (isNotFound(error)) return;
    throw error;
  }
  const owners = found.metadata.ownerReferences ?? [];
  if (owners.some((owner) => owner.uid === ownerReferences[0]?.uid)) return;
  throw new AppError('NAME_TAKEN', { kind, name, owner: owners.map((owner) => `${owner.kind} ${owner.name}`).join(', ') });
}

function failureOf(manifest: Manifest, error: unknown): ApplyFailure {
  const revision = manifest.metadata.labels[labels.revision];
  const message = `${manifest.kind} ${manifest.metadata.name} cannot be applied: ${messageOf(error)}`;
  const trouble = { reason: 'PodsNotCreated', message, fatal: kindOf(error) === 'invalid' } as const;
  return revision === undefined ? { trouble } : { revision, trouble };
}

/** Children of revisions that the decision does not run, and the oldest revisions past the limit. */
export function leftoversOf(seen: Seen, decision: Decision): readonly KubeObject[] {
  const running = new Set(decision.run.map((entry) => entry.revision));
  const remembered = revisionsToKeep(seen, decision, running);
  return seen.children.filter((object) => {
    const revision = object.metadata.labels?.[labels.revision];
    if (revision === undefined || object.metadata.deletionTimestamp !== undefined) return false;
    return object.kind === 'ControllerRevision' ? !remembered.has(revision) : !running.has(revision);
  });
}

function revisionsToKeep(seen: Seen, decision: Decision, running: ReadonlySet<Revision>): ReadonlySet<Revision> {
  const named = [stableOf(decision.next), candidateOf(decision.next), seen.rollout.target].filter((revision) => revision !== null);
  const needed = new Set([...running, ...named]);
  const old = [...seen.records.values()].filter((record) => !needed.has(record.revision)).sort((a, b) => b.generation - a.generation);
  const limit = seen.model.spec.revisionHistoryLimit ?? 5;
  return new Set([...needed, ...old.slice(0, limit).map((record) => record.revision)]);
}

async function remove(client: KubeClient, object: KubeObject, call: CallOptions): Promise<void> {
  const type = childTypes.find((candidate) => candidate.kind === object.kind);
  if (type === undefined) return;
  const { name, namespace, uid } = object.metadata;
  try {
    await client.delete(type, { name, ...(namespace === undefined ? {} : { namespace }) }, { ...call, propagation: 'Background', ...(uid === undefined ? {} : { uid }) });
  } catch (error) {
    // Somebody was faster.
    if (!isNotFound(error)) throw error;
  }
}

function typeOf(kind: string): ResourceType {
  const type = typeOfKind[kind];
  if (type === undefined) throw new AppError('KIND_UNKNOWN', { kind });
  return type;
}

/** Names are unique within a kind and namespace. */
function identityOf(object: { readonly kind: string; readonly metadata: { readonly name: string } }): string {
  return `${object.kind}/${object.metadata.name}`;
}
