/**
 * Decides which pod's report is pulled next. It takes the namespace that used the least slot time recently, then the
 * model of this namespace that used the least, then the pod of this model that is most overdue. Silent pods get one of
 * `silentEvery` turns of a model.
 *
 * Terms: A pull is one request to a pod for its report. A slot is the permission to run one pull; slot time is how long
 * pulls took. A silent pod is a pod whose last pull failed. A turn is one choice of a pod.
 * Limits: `PullLimits`; silent pods never hold all slots. Memory O(pods); a turn costs O(models with a due pod).
 * Pure: time is a parameter.
 */
import { DueHeap } from '../../lib/due-heap.ts';

/**
 * heard: the last pull of the pod succeeded. silent: the last pull failed. new: the pod was just added, or a silent pod
 * restarted, became ready or changed its address, and has not been pulled since.
 */
export type PullLane = 'heard' | 'new' | 'silent';

export type PullLimits = {
  /** Maximum number of concurrent pulls. */
  readonly slots: number;
  /** Maximum number of concurrent pulls of new and silent pods. */
  readonly unheardSlots: number;
  /** Maximum number of concurrent pulls of pods of one namespace. */
  readonly namespaceSlots: number;
  /** Maximum number of concurrent pulls of new and silent pods of one namespace. */
  readonly namespaceUnheardSlots: number;
  /** The longest duration of a pull. A pull in progress counts as if it used this much slot time. */
  readonly pullMs: number;
};

/** Used slot time is forgotten with this half-life. */
const halfLifeMs = 30_000;
/** While other pods of a model are due, every fourth turn of the model is for its silent pods. */
const silentEvery = 4;
const lanes: readonly PullLane[] = ['heard', 'new', 'silent'];
const heardOnly: readonly PullLane[] = ['heard'];

type Usage = { ms: number; atMs: number; inFlight: number };
type Namespace = {
  readonly name: string;
  readonly usage: Usage;
  readonly due: Set<Model>;
  unheard: number;
  pods: number;
};
type Model = {
  readonly key: string;
  readonly namespace: Namespace;
  readonly usage: Usage;
  readonly due: Readonly<Record<PullLane, Set<Pod>>>;
  pods: number;
  turns: number;
};
type Pod = {
  readonly uid: string;
  readonly model: Model;
  lane: PullLane;
  dueMs: number;
  state: 'Waiting' | 'Due' | 'Asked' | 'Gone';
};

/** A pull that may start. It counts against the limits until `done`. */
export type PullTurn = { readonly uid: string; readonly pod: Pod; readonly lane: PullLane };

export class PullSchedule {
  readonly #limits: PullLimits;
  readonly #namespaces = new Map<string, Namespace>();
  readonly #models = new Map<string, Model>();
  readonly #pods = new Map<string, Pod>();
  readonly #waiting = new DueHeap<Pod>();
  readonly #due = new Set<Namespace>();
  #inFlight = 0;
  #unheard = 0;

  constructor(limits: PullLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#pods.size;
  }

  /** Adds a pod, which is due at once. @param modelKey `namespace/name` */
  add(uid: string, modelKey: string, nowMs: number): void {
    const model = this.#modelOf(modelKey);
    model.pods += 1;
    model.namespace.pods += 1;
    const pod: Pod = { uid, model, lane: 'new', dueMs: nowMs, state: 'Waiting' };
    this.#pods.set(uid, pod);
    this.#wait(pod, nowMs);
  }

  remove(uid: string, nowMs: number): void {
    const pod = this.#pods.get(uid);
    if (pod === undefined) return;
    this.#pods.delete(uid);
    this.#unqueue(pod);
    pod.state = 'Gone';
    const { model } = pod;
    model.pods -= 1;
    model.namespace.pods -= 1;
    if (model.pods === 0) this.#models.delete(model.key);
    if (model.namespace.pods === 0) this.#sweep(nowMs);
  }

  /**
   * Makes a waiting pod due at `dueMs` unless it is due earlier.
   * @param lane the new lane of the pod; if undefined, the pod keeps its lane
   */
  hasten(uid: string, dueMs: number, lane?: PullLane): void {
    const pod = this.#pods.get(uid);
    if (pod === undefined || pod.state === 'Asked') return;
    const at = Math.min(pod.dueMs, dueMs);
    if (at === pod.dueMs && (lane === undefined || lane === pod.lane)) return;
    this.#unqueue(pod);
    if (lane !== undefined) pod.lane = lane;
    this.#wait(pod, at);
  }

  /** The pod to pull now; undefined when no pod is due, or no slot is free for the due pods. */
  take(nowMs: number): PullTurn | undefined {
    this.#wake(nowMs);
    if (this.#inFlight >= this.#limits.slots) return undefined;
    const namespace = least(this.#due, (one) => this.#mayAsk(one), nowMs, this.#limits.pullMs);
    if (namespace === undefined) return undefined;
    const open = this.#openLanes(namespace);
    const model = least(
      namespace.due,
      (one) => open.some((lane) => one.due[lane].size > 0),
      nowMs,
      this.#limits.pullMs,
    );
    const pod = model === undefined ? undefined : nextOf(model, open);
    return pod === undefined ? undefined : this.#begin(pod);
  }

  /** Ends a pull. Its pod is due again at `dueMs`, unless it was removed meanwhile. */
  done(
    turn: PullTurn,
    {
      nowMs,
      spentMs,
      dueMs,
      lane,
    }: { readonly nowMs: number; readonly spentMs: number; readonly dueMs: number; readonly lane: PullLane },
  ): void {
    const { pod } = turn;
    const { namespace } = pod.model;
    this.#inFlight -= 1;
    if (turn.lane !== 'heard') {
      this.#unheard -= 1;
      namespace.unheard -= 1;
    }
    for (const usage of [pod.model.usage, namespace.usage]) {
      usage.inFlight -= 1;
      usage.ms = usedMs(usage, nowMs) + spentMs;
      usage.atMs = nowMs;
    }
    if (pod.state === 'Gone') return;
    pod.lane = lane;
    this.#wait(pod, dueMs);
  }

  /** When the next pod becomes due, on the clock of `nowMs`; Infinity when no pod waits. */
  nextMs(): number {
    for (let first = this.#waiting.first(); first !== undefined; first = this.#waiting.first()) {
      if (isCurrent(first)) return first.dueMs;
      this.#waiting.take();
    }
    return Infinity;
  }

  /** How long the most overdue pod has been due, in milliseconds; 0 when no pod is due. */
  lagMs(nowMs: number): number {
    this.#wake(nowMs);
    let oldestMs = nowMs;
    for (const { due } of this.#due) for (const model of due) oldestMs = Math.min(oldestMs, oldestOf(model));
    return nowMs - oldestMs;
  }

  #modelOf(key: string): Model {
    const known = this.#models.get(key);
    if (known !== undefined) return known;
    const name = key.split('/', 1)[0] ?? '';
    const namespace = this.#namespaces.get(name) ?? { name, usage: unused(), due: new Set(), unheard: 0, pods: 0 };
    this.#namespaces.set(name, namespace);
    const model = {
      key,
      namespace,
      usage: unused(),
      due: { heard: new Set<Pod>(), new: new Set<Pod>(), silent: new Set<Pod>() },
      pods: 0,
      turns: 0,
    };
    this.#models.set(key, model);
    return model;
  }

  #wait(pod: Pod, dueMs: number): void {
    pod.state = 'Waiting';
    pod.dueMs = dueMs;
    this.#waiting.add(dueMs, pod);
    if (this.#waiting.size > 2 * this.#pods.size + 64) this.#waiting.prune(isCurrent);
  }

  #wake(nowMs: number): void {
    for (
      let first = this.#waiting.first();
      first !== undefined && first.dueMs <= nowMs;
      first = this.#waiting.first()
    ) {
      this.#waiting.take();
      if (!isCurrent(first)) continue;
      const pod = first.item;
      const { model, lane } = pod;
      pod.state = 'Due';
      model.due[lane].add(pod);
      model.namespace.due.add(model);
      this.#due.add(model.namespace);
    }
  }

  #unqueue(pod: Pod): void {
    const { model } = pod;
    if (!model.due[pod.lane].delete(pod) || lanes.some((lane) => model.due[lane].size > 0)) return;
    model.namespace.due.delete(model);
    if (model.namespace.due.size === 0) this.#due.delete(model.namespace);
  }

  #mayAsk(namespace: Namespace): boolean {
    if (namespace.usage.inFlight >= this.#limits.namespaceSlots) return false;
    const open = this.#openLanes(namespace);
    if (open.length === lanes.length) return true;
    for (const model of namespace.due) if (open.some((lane) => model.due[lane].size > 0)) return true;
    return false;
  }

  #openLanes({ unheard }: Namespace): readonly PullLane[] {
    return this.#unheard < this.#limits.unheardSlots && unheard < this.#limits.namespaceUnheardSlots
      ? lanes
      : heardOnly;
  }

  #begin(pod: Pod): PullTurn {
    const { model, lane } = pod;
    this.#unqueue(pod);
    pod.state = 'Asked';
    model.turns += 1;
    this.#inFlight += 1;
    model.usage.inFlight += 1;
    model.namespace.usage.inFlight += 1;
    if (lane !== 'heard') {
      this.#unheard += 1;
      model.namespace.unheard += 1;
    }
    return { uid: pod.uid, pod, lane };
  }

  /**
   * Forgets an empty namespace only when its used time has decayed, so that recreating a model does not reset the used
   * time.
   */
  #sweep(nowMs: number): void {
    for (const [name, { pods, usage }] of this.#namespaces)
      if (pods === 0 && usage.inFlight === 0 && usedMs(usage, nowMs) < 1) this.#namespaces.delete(name);
  }
}

/** The next due pod of a model. The sets keep the order in which pods became due. */
function nextOf({ due, turns }: Model, open: readonly PullLane[]): Pod | undefined {
  const [heard, fresh, silent] = lanes.map((lane) =>
    open.includes(lane) ? due[lane].values().next().value : undefined,
  );
  if (silent !== undefined && turns % silentEvery === silentEvery - 1) return silent;
  if (heard === undefined || fresh === undefined) return heard ?? fresh ?? silent;
  return fresh.dueMs < heard.dueMs ? fresh : heard;
}

function oldestOf({ due }: Model): number {
  let oldestMs = Infinity;
  for (const lane of lanes) for (const { dueMs } of due[lane]) oldestMs = Math.min(oldestMs, dueMs);
  return oldestMs;
}

function unused(): Usage {
  return { ms: 0, atMs: 0, inFlight: 0 };
}

function usedMs({ ms, atMs }: Usage, nowMs: number): number {
  return ms === 0 ? 0 : ms * 0.5 ** (Math.max(0, nowMs - atMs) / halfLifeMs);
}

/** False for an outdated entry of the heap: its pod has been rescheduled or removed. */
function isCurrent({ dueMs, item }: { readonly dueMs: number; readonly item: Pod }): boolean {
  return item.state === 'Waiting' && item.dueMs === dueMs;
}

/**
 * The item with the least used time among the items that `mayBeChosen` accepts. If several of these items used equally
 * little, it is the first of them.
 */
function least<T extends { readonly usage: Usage }>(
  all: Iterable<T>,
  mayBeChosen: (one: T) => boolean,
  nowMs: number,
  pullMs: number,
): T | undefined {
  let best: { readonly one: T; readonly ms: number } | undefined;
  for (const one of all) {
    if (!mayBeChosen(one)) continue;
    const ms = usedMs(one.usage, nowMs) + one.usage.inFlight * pullMs;
    if (best === undefined || ms < best.ms) best = { one, ms };
  }
  return best?.one;
}
