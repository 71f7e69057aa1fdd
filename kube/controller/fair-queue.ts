/**
 * Decides the order in which waiting keys are given out: by priority, and inside a priority the namespaces take turns.
 * Terms: A key is namespace/name of an object that needs work. A turn is one choice of a key.
 * Owns: which key is next. Inside a namespace the key that was added first is next.
 * Rule: one turn in four is for the key that has waited longest, once it has waited for `agedMs`. If n older keys wait
 * when a key has waited for `agedMs`, the key is therefore given out within the next 4(n + 1) turns, even if many
 * urgent keys arrive.
 * Pure: time is a parameter. Memory O(keys); adding and taking cost O(1).
 */

/** The priorities, the most urgent first. */
export const priorities = ['urgent', 'normal', 'low'] as const;
export type Priority = (typeof priorities)[number];

export const agedMs = 1000;
/** Every fourth turn is for the key that has waited longest, regardless of its priority. */
const agedEvery = 4;

type Waiting = { readonly namespace: string; readonly addedAtMs: number; priority: Priority };
/** Keys by namespace. The first namespace has the next turn and then goes to the end. */
type Level = Map<string, Set<string>>;

export class FairQueue {
  /** A Map keeps the order in which keys were added, so the first key has waited longest. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #levels: Readonly<Record<Priority, Level>> = { urgent: new Map(), normal: new Map(), low: new Map() };
  #turns = 0;

  get size(): number {
    return this.#waiting.size;
  }

  has(key: string): boolean {
    return this.#waiting.has(key);
  }

  /**
   * Adds a key, `namespace/name`. A key that already waits keeps its age. Its priority becomes `priority` if that is
   * more urgent than its old priority.
   */
  add(key: string, priority: Priority, nowMs: number): void {
    const known = this.#waiting.get(key);
    if (known === undefined) {
      const namespace = namespaceOf(key);
      this.#waiting.set(key, { namespace, addedAtMs: nowMs, priority });
      this.#enter(key, namespace, priority);
      return;
    }
    if (moreUrgent(priority, known.priority) === known.priority) return;
    this.#leave(key, known, 'keeps its turn');
    known.priority = priority;
    this.#enter(key, known.namespace, priority);
  }

  /** Removes the next key and returns it; undefined when no key waits. */
  take(nowMs: number): string | undefined {
    this.#turns += 1;
    const key = (this.#turns % agedEvery === 0 ? this.#aged(nowMs) : undefined) ?? this.#first();
    const waiting = key === undefined ? undefined : this.#waiting.get(key);
    if (key === undefined || waiting === undefined) return undefined;
    this.#leave(key, waiting, 'had its turn');
    this.#waiting.delete(key);
    return key;
  }

  clear(): void {
    this.#waiting.clear();
    for (const priority of priorities) this.#levels[priority].clear();
  }

  /** The key that has waited longest, if it has waited for at least `agedMs`. */
  #aged(nowMs: number): string | undefined {
    for (const [key, { addedAtMs }] of this.#waiting) return nowMs - addedAtMs >= agedMs ? key : undefined;
    return undefined;
  }

  #first(): string | undefined {
    for (const priority of priorities)
      for (const keys of this.#levels[priority].values()) for (const key of keys) return key;
    return undefined;
  }

  #enter(key: string, namespace: string, priority: Priority): void {
    const level = this.#levels[priority];
    const keys = level.get(namespace) ?? new Set();
    level.set(namespace, keys.add(key));
  }

  /** Takes a key out of its level. A namespace that had its turn goes to the end. */
  #leave(key: string, { namespace, priority }: Waiting, turn: 'had its turn' | 'keeps its turn'): void {
    const level = this.#levels[priority];
    const keys = level.get(namespace);
    if (keys === undefined) return;
    keys.delete(key);
    if (keys.size === 0 || turn === 'had its turn') level.delete(namespace);
    if (keys.size > 0) level.set(namespace, keys);
  }
}

export function moreUrgent(a: Priority, b: Priority): Priority {
  return priorities.indexOf(a) < priorities.indexOf(b) ? a : b;
}

function namespaceOf(key: string): string {
  const slash = key.indexOf('/');
  return slash < 0 ? '' : key.slice(0, slash);
}
