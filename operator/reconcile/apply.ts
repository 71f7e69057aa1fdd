/**
 * Writes the wanted manifests (put-child.ts), then deletes leftovers, which are children that are not wanted any more.
 * Skips writes that would change nothing.
 *
 * Terms: A child is an object that the operator makes for a model. The mark is the label by which ready pods of two
 * revisions share the traffic of the entry Service, the Service that clients use. A pass observes, decides and writes
 * for one model.
 * Owns: the order of writes and which leftovers may be deleted. Leftovers are deleted only after every wanted object
 * was applied. A refused manifest delays only its own revision; in the end the pass fails and names the manifest. The
 * entry Service selects by the mark only after the pods got it (serving-pods.ts).
 */
import { AppError, kindOf, messageOf } from '../../api/errors.ts';
import { annotations, childName, labels } from '../../api/names.ts';
import { present } from '../../api/present.ts';
import { typeOfChild } from '../../kube/kinds.ts';
import type { CallOptions, KubeClient } from '../../kube/client/kube-client.ts';
import { isNotFound } from '../../kube/client/kube-error.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import type { ApplyFailure, Seen } from '../see/seen.ts';
import { revisionOfChild } from '../see/ownership.ts';
import { dueOf, identityOf, putChild, refusalKey, toldOf, type Put } from './put-child.ts';
import type { Manifest } from '../resources/objects.ts';
import { withStoredAddress } from './service-address.ts';
import { markPods, selectsMarks, sharing, unmarkPods, type ApplyDeps, type Marking } from './serving-pods.ts';
import { Stamps } from './stamps.ts';
import { candidateOf, stableOf, type Decision, type Revision } from '../rollout/state.ts';
import { isRouterKind, routerOf } from '../traffic/router.ts';

export type Applied = {
  readonly writes: number;
  /** The object, such as "HTTPRoute m", whose weights another writer had changed and this pass has set back. */
  readonly reverted?: string;
  /** Milliseconds until the next pass; present when the cluster needs time for a change. */
  readonly recheckMs?: number;
  readonly failure?: ApplyFailure;
  readonly error?: unknown;
  /** Milliseconds until a refused write is tried again. If absent, the back-off of the work queue applies. */
  readonly retryMs?: number;
  /** Fields of children that differ from the manifests and stay as they are, one sentence each. */
  readonly told?: readonly string[];
};

type Wanted = { readonly decision: Decision; readonly manifests: readonly Manifest[] };

export async function apply(deps: ApplyDeps, seen: Seen, { decision, manifests }: Wanted): Promise<Applied> {
  const { stamps = new Stamps() } = deps;
  const marking = await tryToMark(deps, seen, decision);
  deps.recent.keepRefusals(new Set(manifests.map(identityOf)));
  const live = new Map(seen.children.map((object) => [identityOf(object), object]));
  const stored = manifests.map((manifest) => withStoredAddress(manifest, live.get(identityOf(manifest))));
  const put = await putAll({ ...deps, stamps }, live, {
    decision,
    manifests: stamps.of(stored).filter((manifest) => isDue(manifest, seen, { decision, marking })),
  });
  const writes = marking.writes + put.writes;
  const recheckMs = marking.recheckMs === undefined ? {} : { recheckMs: marking.recheckMs };
  if (put.failure !== undefined) return { ...put, ...recheckMs, writes };
  if (marking.error !== undefined) return { ...put, writes, failure: notMarked(marking.error), error: marking.error };
  return { ...put, ...recheckMs, ...(await clearAway(deps, seen, { decision, manifests, writes })) };
}

type Failed = { readonly error: unknown; readonly failure: ApplyFailure; readonly retryMs?: number };

async function putAll(
  deps: Required<ApplyDeps>,
  live: ReadonlyMap<string, KubeObject>,
  { decision, manifests }: Wanted,
): Promise<Applied> {
  const course = new Course(decision);
  for (const stage of stagesOf(manifests)) {
    const due = stage
      .filter((manifest) => !course.isHeldUp(manifest))
      .map((manifest) => {
        const identity = identityOf(manifest);
        return { manifest, known: deps.recent.newest(identity, live.get(identity), deps.clock.monotonic()) };
      });
    const done = await allOf(due.map(({ manifest, known }) => putUnlessSettled(deps, manifest, known)));
    for (const [i, { manifest, known }] of due.entries()) {
      const { told, ...result } = done[i] ?? { writes: 0, told: [] };
      course.note(manifest, known, result);
      course.told.push(...told);
    }
  }
  if (course.reverted !== undefined) deps.traffic.noteRevert(deps.clock.monotonic());
  const { writes, told, reverted, failed } = course;
  return { writes, told, ...present({ reverted }), ...failed };
}

/**
 * Divides the manifests into stages: the records of revisions, the objects that pods need, the Deployments, the objects
 * that direct traffic to the pods, and last the stored evidence of the gates, on which nothing depends. The manifests
 * of one stage are written at the same time. A stage begins when the stage before it is complete, so that a refused
 * manifest delays the manifests that depend on it.
 */
function stagesOf(manifests: readonly Manifest[]): readonly (readonly Manifest[])[] {
  const stages = Map.groupBy(manifests, stageOf);
  return [0, 1, 2, 3, 4].map((stage) => stages.get(stage) ?? []);
}

function stageOf({ kind, metadata }: Manifest): number {
  if (kind === 'ControllerRevision') return 0;
  if (kind === 'Deployment') return 2;
  if (metadata.labels[labels.revision] !== undefined) return 1;
  return kind === 'ConfigMap' ? 4 : 3;
}

/** The progress of one pass over the manifests. */
class Course {
  writes = 0;
  reverted: string | undefined;
  failed: Failed | undefined;
  readonly told: string[] = [];
  readonly #decision: Decision;
  /** Revisions whose stored ControllerRevision exists but is not in the cache yet. */
  readonly #unread = new Set<Revision | undefined>();

  constructor(decision: Decision) {
    this.#decision = decision;
  }

  /**
   * True for a manifest that must wait, because a refused manifest delays it, or because the stored ControllerRevision
   * of its revision was not read yet. Without the stored ControllerRevision, the Deployment could get another template
   * than the stored one, which would restart the pods.
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

async function putUnlessSettled(
  deps: Required<ApplyDeps>,
  manifest: Manifest,
  known: KubeObject | undefined,
): Promise<(Put | Failed) & { readonly told: readonly string[] }> {
  const settled = deps.stamps.toldOfSettled(manifest, known);
  if (settled !== undefined) return { writes: 0, told: settled };
  const done = await putOne(deps, manifest, known);
  const told = toldOf(deps, manifest, known);
  if (known !== undefined && !('error' in done) && done.writes === 0) deps.stamps.noteSettled(manifest, known, told);
  return { ...done, told };
}

async function putOne(deps: ApplyDeps, manifest: Manifest, known: KubeObject | undefined): Promise<Put | Failed> {
  const now = deps.clock.monotonic();
  const due = dueOf(deps, manifest, known);
  if (due.kind === 'none') return { writes: 0 };
  if (due.kind === 'refused')
    return {
      error: due.refusal.error,
      failure: failureOf(manifest, due.refusal.error),
      retryMs: due.refusal.untilMs - now,
    };
  try {
    return await putChild(deps, manifest, known);
  } catch (error) {
    if (!isLasting(error)) return { error, failure: failureOf(manifest, error) };
    const { untilMs } = deps.recent.noteRefused(identityOf(manifest), refusalKey(manifest, known), error, now);
    return { error, failure: failureOf(manifest, error), retryMs: untilMs - now };
  }
}

/**
 * True when an immediate retry would fail too, and no watch of the operator would report that the problem has ended.
 */
function isLasting(error: unknown): boolean {
  return kindOf(error) === 'invalid' || (error instanceof AppError && error.code === 'NAME_TAKEN');
}

/**
 * True when another writer changed the route: the wanted route equals the last applied one, but the live route differs.
 */
function isRevert(manifest: Manifest, known: KubeObject | undefined): boolean {
  return (
    isRouterKind(manifest.kind) &&
    known?.metadata.annotations?.[annotations.applied] === manifest.metadata.annotations?.[annotations.applied]
  );
}

async function clearAway(
  deps: ApplyDeps,
  seen: Seen,
  { decision, manifests, writes }: Wanted & { readonly writes: number },
): Promise<Pick<Applied, 'writes' | 'recheckMs'>> {
  const unmarking = await unmarkPods(deps, seen, decision);
  const present = new Set(seen.children.map(({ metadata }) => metadata.uid ?? ''));
  const leftovers = leftoversOf(seen, { decision, manifests }).filter(
    ({ metadata: { uid } }) => !deps.recent.wasDeleted(uid, present),
  );
  await allOf(
    leftovers.map(async (leftover) => {
      await remove(deps.client, leftover, deps.call);
      deps.recent.forget(identityOf(leftover), leftover.metadata.uid);
    }),
  );
  return { ...unmarking, writes: writes + unmarking.writes + leftovers.length };
}

/**
 * Waits until all work has ended, then throws the first error, so that no request of a pass is still in progress when
 * the next pass begins.
 */
async function allOf<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/**
 * Marks the pods, and returns an error instead of throwing it. A failure to mark pods delays only the sharing of
 * traffic, so the other writes of the pass continue.
 */
async function tryToMark(
  deps: ApplyDeps,
  seen: Seen,
  decision: Decision,
): Promise<Marking & { readonly error?: unknown }> {
  try {
    return await markPods(deps, seen, decision);
  } catch (error) {
    return { writes: 0, isSafe: false, error };
  }
}

function notMarked(error: unknown): ApplyFailure {
  return {
    trouble: {
      reason: 'ApplyFailed',
      message: `cannot set the serving label of pods that share the traffic: ${messageOf(error)}`,
      fatal: kindOf(error) === 'invalid',
    },
  };
}

/** Whether the manifest may be applied in this pass. */
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

/**
 * Whether the refused manifest of `failure` delays `manifest`. A refused manifest of a revision delays the other
 * manifests of the revision. If the revision should get traffic, it also delays the entry Service and the route, which
 * belong to no revision. A refused manifest without a revision delays all manifests.
 */
function concerns(failure: ApplyFailure, manifest: Manifest, decision: Decision): boolean {
  const revision = manifest.metadata.labels[labels.revision];
  const concerned = revision === undefined ? [decision.serve, decision.canary?.revision] : [revision];
  return failure.revision === undefined || concerned.includes(failure.revision);
}

function failureOf(manifest: Manifest, error: unknown): ApplyFailure {
  const revision = manifest.metadata.labels[labels.revision];
  const message = `cannot apply ${manifest.kind} ${manifest.metadata.name}: ${messageOf(error)}`;
  const trouble = { reason: 'ApplyFailed', message, fatal: kindOf(error) === 'invalid' } as const;
  return revision === undefined ? { trouble } : { revision, trouble };
}

/**
 * The children to delete: children of revisions that the decision does not run, ControllerRevisions beyond
 * revisionHistoryLimit, a route that the spec does not ask for, and the ConfigMap with the stored counts
 * (operator/gates) of a finished rollout. Wanted objects are matched by kind and name, and the revision of a child is
 * taken from its name, because other writers can change labels and a cache may have old labels.
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

/**
 * The names of all children of a revision. A revision without a record does not have manifests, but its children must
 * not be deleted.
 */
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
    // Ignore the error when the object was already deleted.
    if (!isNotFound(error)) throw error;
  }
}
