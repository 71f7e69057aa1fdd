/**
 * Makes the cluster what is wanted: server-side apply of what differs, deletion of what is left over.
 *
 * Owns:  the order of writes and which leftovers may go. Writes nothing that would change nothing.
 * Rule:  leftovers go only after everything wanted is there, so that nothing loses its pods before traffic has
 *        left it. A manifest that is refused holds up its own revision only; the pass then fails and names it.
 * Traffic: the entry Service selects by the serving mark only once the pods have it (serving-pods.ts); a route is
 *        written only where the cluster has routes.
 */
import { AppError, kindOf, messageOf } from '../api/errors.ts';
import { annotations, fieldManager, labels } from '../api/names.ts';
import type { Clock } from '../lib/clock.ts';
import { isApplied, stamped } from './drift.ts';
import { childTypes } from './kube-objects.ts';
import type { CallOptions, KubeClient } from './kube/kube-client.ts';
import { isNotFound } from './kube/kube-error.ts';
import type { KubeObject } from './kube/object.ts';
import type { ResourceType } from './kube/resource-type.ts';
import type { ApplyFailure, Seen } from './observe.ts';
import type { RecentWrites } from './recent-writes.ts';
import type { Manifest } from './resources/objects.ts';
import { markPods, selectsMarks, sharing, unmarkPods, type Marking } from './serving-pods.ts';
import type { TrafficMemory } from './traffic-memory.ts';
import { candidateOf, stableOf, type Decision, type Revision } from './rollout/state.ts';

export type Applied = {
  readonly writes: number;
  /** Somebody had changed the weights of the route; they were put back. */
  readonly hasReverted?: boolean;
  /** Something is to be waited for. */
  readonly recheckMs?: number;
  readonly failure?: ApplyFailure;
  readonly error?: unknown;
};

type Wanted = { readonly decision: Decision; readonly manifests: readonly Manifest[] };
export type Hands = { readonly client: KubeClient; readonly call: CallOptions; readonly recent: RecentWrites; readonly traffic: TrafficMemory; readonly clock: Clock };

export async function apply(hands: Hands, seen: Seen, { decision, manifests }: Wanted): Promise<Applied> {
  const marking = await tryToMark(hands, seen, decision);
  const put = await putAll(hands, seen, { decision, manifests: manifests.map(stamped).filter((manifest) => isDue(manifest, seen, { decision, marking })) });
  const writes = marking.writes + put.writes;
  const recheckMs = marking.recheckMs === undefined ? {} : { recheckMs: marking.recheckMs };
  if (put.failure !== undefined) return { ...put, ...recheckMs, writes };
  if (marking.error !== undefined) return { ...put, writes, failure: notMarked(marking.error), error: marking.error };
  return { ...put, ...recheckMs, ...(await clearAway(hands, seen, { decision, manifests, writes })) };
}

async function putAll(hands: Hands, seen: Seen, { decision, manifests }: Wanted): Promise<Applied> {
  const { recent, clock } = hands;
  const live = new Map(seen.children.map((object) => [identityOf(object), object]));
  let writes = 0;
  let hasReverted = false;
  let failed: { readonly error: unknown; readonly failure: ApplyFailure } | undefined;
  for (const manifest of manifests) {
    // What belongs to a revision that was refused waits; the others and their traffic do not wait for it.
    if (failed !== undefined && concerns(failed.failure, manifest, decision)) continue;
    const identity = identityOf(manifest);
    const known = recent.newest(identity, live.get(identity), clock.monotonic());
    if (isApplied(manifest, known)) continue;
    try {
      await put(hands, manifest, known);
      writes += 1;
      hasReverted ||= isRevert(manifest, known);
    } catch (error) {
      failed ??= { error, failure: failureOf(manifest, error) };
    }
  }
  if (hasReverted) hands.traffic.noteRevert(clock.monotonic());
  return { writes, ...(hasReverted ? { hasReverted } : {}), ...failed };
}

async function put({ client, call, recent, clock }: Hands, manifest: Manifest, known: KubeObject | undefined): Promise<void> {
  if (known === undefined) await assertFree(client, manifest, call);
  recent.remember(identityOf(manifest), await client.apply<KubeObject>(typeOf(manifest.kind), manifest, { ...call, fieldManager, force: true }), clock.monotonic());
}

/** The route that we applied last is the one that is wanted, and yet it differs: somebody else has written it. */
function isRevert(manifest: Manifest, known: KubeObject | undefined): boolean {
  return manifest.kind === 'HTTPRoute' && known?.metadata.annotations?.[annotations.applied] === manifest.metadata.annotations?.[annotations.applied];
}

async function clearAway(hands: Hands, seen: Seen, { decision, manifests, writes }: Wanted & { readonly writes: number }): Promise<Pick<Applied, 'writes' | 'recheckMs'>> {
  const unmarking = await unmarkPods(hands, seen, decision);
  const leftovers = leftoversOf(seen, { decision, manifests });
  for (const leftover of leftovers) {
    await remove(hands.client, leftover, hands.call);
    hands.recent.forget(identityOf(leftover));
  }
  return { ...unmarking, writes: writes + unmarking.writes + leftovers.length };
}

/** Pods that may not be marked hold up the sharing of traffic, nothing else. */
async function tryToMark(hands: Hands, seen: Seen, decision: Decision): Promise<Marking & { readonly error?: unknown }> {
  try {
    return await markPods(hands, seen, decision);
  } catch (error) {
    return { writes: 0, isSafe: false, error };
  }
}

function notMarked(error: unknown): ApplyFailure {
  return { trouble: { reason: 'PodsNotCreated', message: `pods cannot be marked to share the traffic: ${messageOf(error)}`, fatal: kindOf(error) === 'invalid' } };
}

/** Whether it may be written now. */
function isDue(manifest: Manifest, seen: Seen, { decision, marking }: { readonly decision: Decision; readonly marking: Marking }): boolean {
  if (manifest.kind === 'HTTPRoute') return seen.gatewayApi === 'Served';
  const isEntry = manifest.kind === 'Service' && manifest.metadata.labels[labels.revision] === undefined;
  return !isEntry || sharing(seen, decision).length === 0 || selectsMarks(seen) || marking.isSafe;
}

/** The rest of the refused revision, and what moves traffic if that revision is to get any. */
function concerns(failure: ApplyFailure, manifest: Manifest, decision: Decision): boolean {
  const revision = manifest.metadata.labels[labels.revision];
  const concerned = revision === undefined ? [decision.serve, decision.canary?.revision] : [revision];
  return failure.revision === undefined || concerned.includes(failure.revision);
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

/**
 * Children of revisions that the decision does not run, the oldest revisions past the limit, a route that is not asked
 * for, and what was kept of a rollout (operator/gates) that is over.
 */
export function leftoversOf(seen: Seen, { decision, manifests }: Wanted): readonly KubeObject[] {
  const wanted = new Set(manifests.map(identityOf));
  const running = new Set(decision.run.map((entry) => entry.revision));
  const remembered = revisionsToKeep(seen, decision, running);
  return seen.children.filter((object) => {
    if (object.metadata.deletionTimestamp !== undefined) return false;
    if (object.kind === 'HTTPRoute') return seen.plan.router !== 'HTTPRoute';
    const revision = object.metadata.labels?.[labels.revision];
    if (revision === undefined) return object.kind === 'ConfigMap' && !wanted.has(identityOf(object));
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
  const type = typeOf(object.kind);
  const { name, namespace, uid } = object.metadata;
  try {
    await client.delete(type, { name, ...(namespace === undefined ? {} : { namespace }) }, { ...call, propagation: 'Background', ...(uid === undefined ? {} : { uid }) });
  } catch (error) {
    // Somebody was faster.
    if (!isNotFound(error)) throw error;
  }
}

function typeOf(kind: string): ResourceType {
  const type = childTypes.find((one) => one.kind === kind);
  if (type === undefined) throw new AppError('KIND_UNKNOWN', { kind });
  return type;
}

/** Names are unique within a kind and namespace. */
function identityOf(object: { readonly kind: string; readonly metadata: { readonly name: string } }): string {
  return `${object.kind}/${object.metadata.name}`;
}
