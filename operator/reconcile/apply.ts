/**
 * Makes the cluster what is wanted: server-side apply of what differs, deletion of what is left over.
 *
 * Owns:  the order of writes and which leftovers may go. Writes nothing that would change nothing.
 * Rule:  leftovers go only after everything wanted is there, so that nothing loses its pods before traffic has
 *        left it; nothing that is wanted is a leftover, whatever its labels say. A manifest that is refused holds up
 *        its own revision only; the pass then fails and names it.
 * Traffic: the entry Service selects by the serving mark only once the pods have it (serving-pods.ts); a route is
 *        written only where the cluster has routes.
 */
import { AppError, kindOf, messageOf } from '../../api/errors.ts';
import { annotations, childName, labels } from '../../api/names.ts';
import { present } from '../../api/present.ts';
import { stamped } from './drift.ts';
import { typeOfChild } from '../../kube/kinds.ts';
import type { CallOptions, KubeClient } from '../../kube/client/kube-client.ts';
import { isNotFound } from '../../kube/client/kube-error.ts';
import type { KubeObject } from '../../kube/client/object.ts';
import type { ApplyFailure, Seen } from '../see/seen.ts';
import { revisionOfChild } from '../see/ownership.ts';
import { dueOf, identityOf, putChild, refusalKey, toldOf, type Put } from './put-child.ts';
import type { Manifest } from '../resources/objects.ts';
import { markPods, selectsMarks, sharing, unmarkPods, type Hands, type Marking } from './serving-pods.ts';
import { candidateOf, stableOf, type Decision, type Revision } from '../rollout/state.ts';
import { isRouterKind, routerOf } from '../traffic/router.ts';

export type Applied = {
  readonly writes: number;
  /** Somebody had changed the weights of this object; they were put back: "HTTPRoute m". */
  readonly reverted?: string;
  /** Something is to be waited for. */
  readonly recheckMs?: number;
  readonly failure?: ApplyFailure;
  readonly error?: unknown;
  /** What was refused is tried again after this long; absent: as every failure is. */
  readonly retryMs?: number;
  /** What in the children is not as wanted and stays, a sentence each. */
  readonly told?: readonly string[];
};

type Wanted = { readonly decision: Decision; readonly manifests: readonly Manifest[] };

export async function apply(hands: Hands, seen: Seen, { decision, manifests }: Wanted): Promise<Applied> {
  const marking = await tryToMark(hands, seen, decision);
  const put = await putAll(hands, seen, {
    decision,
    manifests: manifests.map(stamped).filter((manifest) => isDue(manifest, seen, { decision, marking })),
  });
  const writes = marking.writes + put.writes;
  const recheckMs = marking.recheckMs === undefined ? {} : { recheckMs: marking.recheckMs };
  if (put.failure !== undefined) return { ...put, ...recheckMs, writes };
  if (marking.error !== undefined) return { ...put, writes, failure: notMarked(marking.error), error: marking.error };
  return { ...put, ...recheckMs, ...(await clearAway(hands, seen, { decision, manifests, writes })) };
}

type Failed = { readonly error: unknown; readonly failure: ApplyFailure; readonly retryMs?: number };

async function putAll(hands: Hands, seen: Seen, { decision, manifests }: Wanted): Promise<Applied> {
  const live = new Map(seen.children.map((object) => [identityOf(object), object]));
  const course = new Course(decision);
  for (const manifest of manifests) {
    if (course.isHeldUp(manifest)) continue;
    const known = hands.recent.newest(identityOf(manifest), live.get(identityOf(manifest)), hands.clock.monotonic());
    course.note(manifest, known, await putOne(hands, manifest, known));
    course.told.push(...toldOf(hands, manifest, known));
  }
  if (course.reverted !== undefined) hands.traffic.noteRevert(hands.clock.monotonic());
  const { writes, told, reverted, failed } = course;
  return { writes, told, ...present({ reverted }), ...failed };
}

/** How the putting of one pass goes. */
class Course {
  writes = 0;
  reverted: string | undefined;
  failed: Failed | undefined;
  readonly told: string[] = [];
  readonly #decision: Decision;
  /** Revisions whose frozen template no cache has shown yet. */
  readonly #unread = new Set<Revision | undefined>();

  constructor(decision: Decision) {
    this.#decision = decision;
  }

  /**
   * What belongs to a revision that was refused waits; the others and their traffic do not wait for it. A frozen
   * template is read before pods are made by it: applying another one would restart them.
   */
  isHeldUp(manifest: Manifest): boolean {
    return (
      this.#unread.has(manifest.metadata.labels[labels.revision]) ||
      (this.failed !== undefined && concerns(this.failed.failure, manifest, this.#decision))
    );
  }

  note(manifest: Manifest, known: KubeObject | undefined, done: Put | Failed): void {
    if ('error' in done) {
      this.failed ??= done;
      return;
    }
    this.writes += done.writes;
    if (done.writes > 0 && isRevert(manifest, known)) this.reverted = `${manifest.kind} ${manifest.metadata.name}`;
    if (done.isNews === true && manifest.kind === 'ControllerRevision')
      this.#unread.add(manifest.metadata.labels[labels.revision]);
  }
}

async function putOne(hands: Hands, manifest: Manifest, known: KubeObject | undefined): Promise<Put | Failed> {
  const now = hands.clock.monotonic();
  const due = dueOf(hands, manifest, known);
  if (due.kind === 'none') return { writes: 0 };
  if (due.kind === 'refused')
    return {
      error: due.refusal.error,
      failure: failureOf(manifest, due.refusal.error),
      retryMs: due.refusal.untilMs - now,
    };
  try {
    return await putChild(hands, manifest, known);
  } catch (error) {
    if (!isLasting(error)) return { error, failure: failureOf(manifest, error) };
    const { untilMs } = hands.recent.noteRefused(identityOf(manifest), refusalKey(manifest, known), error, now);
    return { error, failure: failureOf(manifest, error), retryMs: untilMs - now };
  }
}

/** Trying again at once cannot help, and nobody tells us when it would. */
function isLasting(error: unknown): boolean {
  return kindOf(error) === 'invalid' || (error instanceof AppError && error.code === 'NAME_TAKEN');
}

/** The route that we applied last is the one that is wanted, and yet it differs: somebody else has written it. */
function isRevert(manifest: Manifest, known: KubeObject | undefined): boolean {
  return (
    isRouterKind(manifest.kind) &&
    known?.metadata.annotations?.[annotations.applied] === manifest.metadata.annotations?.[annotations.applied]
  );
}

async function clearAway(
  hands: Hands,
  seen: Seen,
  { decision, manifests, writes }: Wanted & { readonly writes: number },
): Promise<Pick<Applied, 'writes' | 'recheckMs'>> {
  const unmarking = await unmarkPods(hands, seen, decision);
  const present = new Set(seen.children.map(({ metadata }) => metadata.uid ?? ''));
  const leftovers = leftoversOf(seen, { decision, manifests }).filter(
    ({ metadata: { uid } }) => !hands.recent.wasDeleted(uid, present),
  );
  for (const leftover of leftovers) {
    await remove(hands.client, leftover, hands.call);
    hands.recent.forget(identityOf(leftover), leftover.metadata.uid);
  }
  return { ...unmarking, writes: writes + unmarking.writes + leftovers.length };
}

/** Pods that may not be marked hold up the sharing of traffic, nothing else. */
async function tryToMark(
  hands: Hands,
  seen: Seen,
  decision: Decision,
): Promise<Marking & { readonly error?: unknown }> {
  try {
    return await markPods(hands, seen, decision);
  } catch (error) {
    return { writes: 0, isSafe: false, error };
  }
}

function notMarked(error: unknown): ApplyFailure {
  return {
    trouble: {
      reason: 'ApplyFailed',
      message: `pods cannot be marked to share the traffic: ${messageOf(error)}`,
      fatal: kindOf(error) === 'invalid',
    },
  };
}

/** Whether it may be written now. */
function isDue(
  manifest: Manifest,
  seen: Seen,
  { decision, marking }: { readonly decision: Decision; readonly marking: Marking },
): boolean {
  const router = routerOf(seen.plan);
  if (router.kinds.includes(manifest.kind)) return router.isWritable(seen.gatewayApi);
  const isEntry = manifest.kind === 'Service' && manifest.metadata.labels[labels.revision] === undefined;
  return !isEntry || sharing(seen, decision).length === 0 || selectsMarks(seen) || marking.isSafe;
}

/** The rest of the refused revision, and what moves traffic if that revision is to get any. */
function concerns(failure: ApplyFailure, manifest: Manifest, decision: Decision): boolean {
  const revision = manifest.metadata.labels[labels.revision];
  const concerned = revision === undefined ? [decision.serve, decision.canary?.revision] : [revision];
  return failure.revision === undefined || concerned.includes(failure.revision);
}

function failureOf(manifest: Manifest, error: unknown): ApplyFailure {
  const revision = manifest.metadata.labels[labels.revision];
  const message = `${manifest.kind} ${manifest.metadata.name} cannot be applied: ${messageOf(error)}`;
  const trouble = { reason: 'ApplyFailed', message, fatal: kindOf(error) === 'invalid' } as const;
  return revision === undefined ? { trouble } : { revision, trouble };
}

/**
 * Children of revisions that the decision does not run, the oldest revisions past the limit, a route that is not asked
 * for, and what was kept of a rollout (operator/gates) that is over. What is wanted is known by kind and name, and a
 * child's revision by its name: labels may be changed by anybody, and a cache may show an old one.
 */
export function leftoversOf(seen: Seen, { decision, manifests }: Wanted): readonly KubeObject[] {
  const model = seen.model.metadata.name;
  const running = new Set(decision.run.map((entry) => entry.revision));
  const remembered = revisionsToKeep(seen, decision, running);
  const wanted = new Set([
    ...manifests.map(identityOf),
    `Service/${model}`,
    ...[...running].flatMap((revision) => namesOf(model, revision)),
  ]);
  return seen.children.filter((object) => {
    if (object.metadata.deletionTimestamp !== undefined || wanted.has(identityOf(object))) return false;
    if (isRouterKind(object.kind)) return !routerOf(seen.plan).kinds.includes(object.kind);
    const revision = revisionOfChild(object, model);
    if (revision === undefined) return object.kind === 'ConfigMap';
    return object.kind === 'ControllerRevision' ? !remembered.has(revision) : !running.has(revision);
  });
}

/** Also of a revision whose record is missing, which has no manifests. */
function namesOf(model: string, revision: Revision): readonly string[] {
  return ['ControllerRevision', 'ConfigMap', 'Service', 'Deployment'].map(
    (kind) => `${kind}/${childName(model, revision)}`,
  );
}

function revisionsToKeep(seen: Seen, decision: Decision, running: ReadonlySet<Revision>): ReadonlySet<Revision> {
  const named = [stableOf(decision.next), candidateOf(decision.next), seen.rollout.target].filter(
    (revision) => revision !== null,
  );
  const needed = new Set([...running, ...named]);
  const old = [...seen.records.values()]
    .filter((record) => !needed.has(record.revision))
    .sort((a, b) => b.generation - a.generation);
  const limit = seen.model.spec.revisionHistoryLimit ?? 5;
  return new Set([...needed, ...old.slice(0, limit).map((record) => record.revision)]);
}

async function remove(client: KubeClient, object: KubeObject, call: CallOptions): Promise<void> {
  const type = typeOfChild(object.kind);
  const { name, namespace, uid } = object.metadata;
  try {
    await client.delete(
      type,
      { name, ...(namespace === undefined ? {} : { namespace }) },
      { ...call, propagation: 'Background', ...(uid === undefined ? {} : { uid }) },
    );
  } catch (error) {
    // Somebody was faster.
    if (!isNotFound(error)) throw error;
  }
}
