/**
 * Sets the serving label (the mark), by which ready pods of two revisions share the traffic of the entry Service, the
 * Service that clients use.
 *
 * Owns: which pods get the label, and when the entry Service may select by it. The label is set before the Service
 * selects by it, and removed some seconds after the Service stops selecting by it, because the endpoints controller may
 * see a change of the Service before a change of a pod. A pod that becomes unready keeps the label, because Services do
 * not send traffic to it.
 */
import { labels } from '../../api/names.ts';
import { byAge, isReady, pods as podType, type Pod } from '../../kube/kinds.ts';
import { isConflict, isNotFound } from '../../kube/client/kube-error.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import type { Seen } from '../see/seen.ts';
import type { Stamps } from './stamps.ts';
import type { PutDeps } from './put-child.ts';
import { servingValue } from '../resources/services.ts';
import type { Decision, Revision } from '../rollout/state.ts';
import type { TrafficMemory } from '../traffic/traffic-memory.ts';
import { isMarked } from '../traffic/by-pods.ts';
import { routerOf } from '../traffic/router.ts';

/**
 * The field manager of the label. It owns no other field, so an apply with this manager and without labels removes the
 * label.
 */
const markManager = 'onnx-operator-traffic';
/** How long pods must have had the mark before the Service selects by it. */
const markedForMs = 1_000;
/** Marks are removed once the Service has not selected by the mark for this long. */
const restedForMs = 5_000;

/** What a pass needs for its writes. */
export type ApplyDeps = PutDeps & {
  readonly traffic: TrafficMemory;
  /** The manifests of the last pass, with their hashes. If absent, every manifest is hashed and compared again. */
  readonly stamps?: Stamps;
};

export type Marking = {
  readonly writes: number;
  /**
   * Whether the entry Service may select by the mark: all pods that should serve, and no other pods, have had the mark
   * for long enough.
   */
  readonly isSafe: boolean;
  /** Milliseconds until the next pass, which continues the marking. */
  readonly recheckMs?: number;
};

/** The revisions that share the traffic by marks on their pods; empty when one revision has all the traffic. */
export function sharing(seen: Seen, decision: Decision): readonly Revision[] {
  return routerOf(seen.plan).marked(decision);
}

/**
 * Marks and unmarks pods. Call this function before any other write of a pass.
 *
 * @throws AppError KUBE_STATUS when the server does not permit writes to pods
 */
export async function markPods(deps: ApplyDeps, seen: Seen, decision: Decision): Promise<Marking> {
  const revisions = sharing(seen, decision);
  if (revisions.length === 0) return { writes: 0, isSafe: false };
  const those = podsNow(deps, seen);
  const wanted = toMark(those, decision);
  const unmarked = wanted.filter((pod) => !isMarked(pod));
  const strangers = those.filter(
    (pod) => isMarked(pod) && !wanted.includes(pod) && (isReady(pod) || !revisions.includes(revisionOfPod(pod))),
  );
  const writes = (await writeMarks(deps, unmarked, true)) + (await writeMarks(deps, strangers, false));
  const stable = those.filter((pod) => revisionOfPod(pod) === decision.serve && isReady(pod));
  const isDone = writes === 0 && unmarked.length + strangers.length === 0 && stable.length > 0;
  const heldMs = deps.traffic.heldMs('marked', isDone, deps.clock.monotonic());
  const isSafe = isDone && heldMs >= markedForMs;
  return { writes, isSafe, ...(isSafe ? {} : { recheckMs: markedForMs }) };
}

/**
 * The pods that should have the mark: all ready pods of the serving revision, and as many ready pods of the candidate
 * as the decision says. Right after its weight was lowered, the candidate may have more ready pods than this number.
 * Then its oldest pods get the mark, because a Deployment that scales down deletes its youngest pods first.
 */
function toMark(those: readonly Pod[], { serve, canary, run }: Decision): readonly Pod[] {
  const decided = run.find(({ revision }) => revision === canary?.revision)?.replicas ?? 0;
  const readyOf = (revision: Revision | null | undefined): readonly Pod[] =>
    those.filter((pod) => revisionOfPod(pod) === revision && isReady(pod));
  return [...readyOf(serve), ...[...readyOf(canary?.revision)].sort(byAge).slice(0, decided)];
}

/**
 * Removes the marks of all pods once the entry Service does not select by the mark any more. Call this function after
 * the other writes of a pass.
 */
export async function unmarkPods(
  deps: ApplyDeps,
  seen: Seen,
  decision: Decision,
): Promise<Pick<Marking, 'writes' | 'recheckMs'>> {
  const marked = sharing(seen, decision).length > 0 ? [] : podsNow(deps, seen).filter(isMarked);
  const isAtRest = marked.length > 0 && !selectsMarks(seen);
  const heldMs = deps.traffic.heldMs('rested', isAtRest, deps.clock.monotonic());
  if (!isAtRest || heldMs < restedForMs)
    return marked.length === 0
      ? { writes: 0 }
      : { writes: 0, recheckMs: isAtRest ? restedForMs - heldMs : markedForMs };
  return { writes: await writeMarks(deps, marked, false) };
}

export function selectsMarks(seen: Seen): boolean {
  return seen.entry?.spec?.selector?.[labels.serving] !== undefined;
}

function podsNow({ recent, clock }: ApplyDeps, seen: Seen): readonly Pod[] {
  return [...seen.pods.values()]
    .flat()
    .map((pod) => (recent.newest(identityOf(pod), pod, clock.monotonic()) ?? pod) as Pod);
}

async function writeMarks(
  { client, call, recent, clock }: ApplyDeps,
  those: readonly Pod[],
  isOn: boolean,
): Promise<number> {
  let writes = 0;
  for (const { metadata } of those) {
    const { name, namespace, uid } = metadata;
    if (namespace === undefined || uid === undefined) continue;
    // The uid makes an apply to a deleted pod fail. Without the uid, the apply would create a pod.
    const config: KubeObject = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace, uid, ...(isOn ? { labels: { [labels.serving]: servingValue } } : {}) },
    };
    try {
      const answer = await client.apply<KubeObject>(podType, config, {
        ...call,
        fieldManager: markManager,
        force: true,
      });
      recent.remember(identityOf(config), answer, clock.monotonic());
      writes += 1;
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }
  return writes;
}

function revisionOfPod(pod: Pod): Revision {
  return pod.metadata.labels?.[labels.revision] ?? '';
}

function identityOf(pod: { readonly metadata: { readonly name: string } }): string {
  return `Pod/${pod.metadata.name}`;
}
