/**
 * The label by which ready pods of two revisions share the traffic of the entry Service.
 *
 * Owns:  which pods are marked, and when the entry Service may select by the mark. Marks are put before the Service
 *        selects by them and taken off after it does so no longer, and not at once: the endpoints controller hears
 *        of pods and of Services by two ways, of which either may be the slower one.
 * Rule:  a pod that is not ready any more keeps its mark: no Service sends anything to it, and it may come back.
 */
import { labels } from '../../api/names.ts';
import { isReady, pods as podType, type Pod } from '../../kube/kinds.ts';
import { isConflict, isNotFound } from '../../kube/client/kube-error.ts';
import type { KubeObject } from '../../kube/client/object.ts';
import type { Seen } from '../see/seen.ts';
import type { Putter } from './put-child.ts';
import { servingValue } from '../resources/services.ts';
import type { Decision, Revision } from '../rollout/state.ts';
import type { TrafficMemory } from '../traffic/traffic-memory.ts';
import { isMarked } from '../traffic/by-pods.ts';
import { routerOf } from '../traffic/router.ts';

/** Owns the mark and nothing else, so that taking it off is applying nothing. */
const markManager = 'onnx-operator-traffic';
/** For how long marks have been there before the Service selects by them. */
const markedForMs = 1_000;
/** For how long the Service has selected otherwise before they go. */
const restedForMs = 5_000;

/** What a pass writes with. */
export type Hands = Putter & { readonly traffic: TrafficMemory };

export type Marking = {
  readonly writes: number;
  /** The entry Service may select by the mark: whoever is to serve has it, and nobody else. */
  readonly isSafe: boolean;
  /** Something is to be waited for. */
  readonly recheckMs?: number;
};

/** Revisions that share the traffic by marks on their pods; none at rest. */
export function sharing(seen: Seen, decision: Decision): readonly Revision[] {
  return routerOf(seen.plan).marked(decision);
}

/**
 * Before anything else of a pass is applied.
 *
 * @throws AppError KUBE_STATUS when pods may not be written
 */
export async function markPods(hands: Hands, seen: Seen, decision: Decision): Promise<Marking> {
  const revisions = sharing(seen, decision);
  if (revisions.length === 0) return { writes: 0, isSafe: false };
  const those = podsNow(hands, seen);
  const wanted = toMark(those, decision);
  const unmarked = wanted.filter((pod) => !isMarked(pod));
  const strangers = those.filter(
    (pod) => isMarked(pod) && !wanted.includes(pod) && (isReady(pod) || !revisions.includes(revisionOfPod(pod))),
  );
  const writes = (await writeMarks(hands, unmarked, true)) + (await writeMarks(hands, strangers, false));
  const stable = those.filter((pod) => revisionOfPod(pod) === decision.serve && isReady(pod));
  const isDone = writes === 0 && unmarked.length + strangers.length === 0 && stable.length > 0;
  const heldMs = hands.traffic.heldMs('marked', isDone, hands.clock.monotonic());
  const isSafe = isDone && heldMs >= markedForMs;
  return { writes, isSafe, ...(isSafe ? {} : { recheckMs: markedForMs }) };
}

/**
 * All ready pods of whoever serves. Of the candidate as many as are decided: one that comes back to a lower weight may
 * still have those of before. A Deployment that shrinks lets its youngest go first, so the oldest are taken.
 */
function toMark(those: readonly Pod[], { serve, canary, run }: Decision): readonly Pod[] {
  const decided = run.find(({ revision }) => revision === canary?.revision)?.replicas ?? 0;
  const readyOf = (revision: Revision | null | undefined): readonly Pod[] =>
    those.filter((pod) => revisionOfPod(pod) === revision && isReady(pod));
  return [...readyOf(serve), ...[...readyOf(canary?.revision)].sort(byAge).slice(0, decided)];
}

function byAge({ metadata: one }: Pod, { metadata: other }: Pod): number {
  const [born, otherBorn] = [one.creationTimestamp ?? '', other.creationTimestamp ?? ''];
  if (born !== otherBorn) return born < otherBorn ? -1 : 1;
  return one.name < other.name ? -1 : 1;
}

/** After everything else of a pass was applied: marks that nobody selects by go. */
export async function unmarkPods(
  hands: Hands,
  seen: Seen,
  decision: Decision,
): Promise<Pick<Marking, 'writes' | 'recheckMs'>> {
  const marked = sharing(seen, decision).length > 0 ? [] : podsNow(hands, seen).filter(isMarked);
  const isAtRest = marked.length > 0 && !selectsMarks(seen);
  const heldMs = hands.traffic.heldMs('rested', isAtRest, hands.clock.monotonic());
  if (!isAtRest || heldMs < restedForMs)
    return marked.length === 0
      ? { writes: 0 }
      : { writes: 0, recheckMs: isAtRest ? restedForMs - heldMs : markedForMs };
  return { writes: await writeMarks(hands, marked, false) };
}

export function selectsMarks(seen: Seen): boolean {
  return seen.entry?.spec?.selector?.[labels.serving] !== undefined;
}

function podsNow({ recent, clock }: Hands, seen: Seen): readonly Pod[] {
  return [...seen.pods.values()]
    .flat()
    .map((pod) => (recent.newest(identityOf(pod), pod, clock.monotonic()) ?? pod) as Pod);
}

async function writeMarks(
  { client, call, recent, clock }: Hands,
  those: readonly Pod[],
  isOn: boolean,
): Promise<number> {
  let writes = 0;
  for (const { metadata } of those) {
    const { name, namespace, uid } = metadata;
    if (namespace === undefined || uid === undefined) continue;
    // With the uid: a pod that is gone by now is not made anew.
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
