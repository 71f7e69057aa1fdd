/**
 * A priority queue of items by time, the earliest first.
 * Pure. Adding and taking cost O(log n). The heap cannot be searched. To change the time of an item, the caller adds
 * the item again and ignores the old entry when it is taken.
 */

type Entry<T> = { readonly dueMs: number; readonly item: T };

export class DueHeap<T> {
  #entries: Entry<T>[] = [];

  get size(): number {
    return this.#entries.length;
  }

  /** The earliest entry; undefined when the heap is empty. */
  first(): Entry<T> | undefined {
    return this.#entries[0];
  }

  add(dueMs: number, item: T): void {
    const entry = { dueMs, item };
    let at = this.#entries.push(entry) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = this.#entries[above];
      if (parent === undefined || parent.dueMs <= dueMs) break;
      this.#entries[at] = parent;
      at = above;
    }
    this.#entries[at] = entry;
  }

  /** Removes and returns the earliest entry. */
  take(): Entry<T> | undefined {
    const first = this.#entries[0];
    const last = this.#entries.pop();
    if (last !== undefined && this.#entries.length > 0) this.#sink(last);
    return first;
  }

  /** Keeps only the entries for which `isWanted` returns true. */
  prune(isWanted: (entry: Entry<T>) => boolean): void {
    const kept = this.#entries.filter(isWanted);
    this.#entries = [];
    for (const { dueMs, item } of kept) this.add(dueMs, item);
  }

  /** Puts an entry at the root, then moves it down to its place. */
  #sink(entry: Entry<T>): void {
    let at = 0;
    for (;;) {
      const [left, right] = [this.#entries[2 * at + 1], this.#entries[2 * at + 2]];
      const isRight = right !== undefined && left !== undefined && right.dueMs < left.dueMs;
      const below = isRight ? right : left;
      if (below === undefined || entry.dueMs <= below.dueMs) break;
      this.#entries[at] = below;
      at = 2 * at + (isRight ? 2 : 1);
    }
    this.#entries[at] = entry;
  }
}
