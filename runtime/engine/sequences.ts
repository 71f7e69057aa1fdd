/**
 * The sequences of an engine, on the side of the caller: which sequences are open, in which slot, and how much state
 * each may keep.
 *
 * Owns:   the handles, the bytes that each sequence reserves and holds, and the checks of open() and step(). The
 *         tensors of the state are in the slot's worker (sequence-states.ts).
 * Limits: the sum of `maxBytes` of the open sequences is at most `limitBytes`.
 */
import { AppError } from '../../api/errors.ts';
import type { SequenceNews, WorkerStep } from './messages.ts';
import type { Sequence, Sequences, SequenceStep, StateUsage, StepResult } from './port.ts';

/** The parts of the engine that SlotSequences uses. */
export type SlotSequencesDeps = {
  /** The model's name, for error messages. */
  readonly model: string;
  readonly limitBytes: number;
  /** Bytes of the limit that other state has taken; absent: none. */
  readonly takenBytes?: () => number;
  /** Slots that a new sequence may be opened in. */
  readonly openSlots: () => readonly number[];
  readonly isFree: (slot: number) => boolean;
  readonly tell: (slot: number, news: SequenceNews) => void;
  readonly step: (slot: number, steps: readonly WorkerStep[]) => Promise<StepResult>;
};

type Entry = {
  readonly maxBytes: number;
  heldBytes: number;
  /**
   * Number of steps in progress. The number may be 2 for a moment: the slot becomes free, and the next step may start,
   * just before the promise of the previous step is resolved.
   */
  steps: number;
  isClosed: boolean;
  isLost: boolean;
};

export class SlotSequences implements Sequences {
  readonly #deps: SlotSequencesDeps;
  readonly #entries = new Map<Sequence, Entry>();
  #lastId = 0;
  #onLost: (sequences: readonly Sequence[]) => void = () => {};

  constructor(deps: SlotSequencesDeps) {
    this.#deps = deps;
  }

  get usage(): StateUsage {
    const living = [...this.#entries.values()].filter(({ isLost }) => !isLost);
    return {
      sequences: living.length,
      reservedBytes: living.reduce((sum, { maxBytes }) => sum + maxBytes, 0),
      heldBytes: living.reduce((sum, { heldBytes }) => sum + heldBytes, 0),
      limitBytes: this.#deps.limitBytes,
    };
  }

  isFree(slot: number): boolean {
    return this.#deps.isFree(slot);
  }

  onLost(listener: (sequences: readonly Sequence[]) => void): void {
    this.#onLost = listener;
  }

  open({ maxBytes }: { readonly maxBytes: number }): Sequence {
    const { limitBytes, openSlots, takenBytes = () => 0 } = this.#deps;
    // NaN would pass every comparison below, and make the sum of the reserved bytes NaN for all later sequences.
    if (!(maxBytes >= 0)) throw new TypeError(`maxBytes must be a number of at least 0, not ${maxBytes}`);
    if (maxBytes > limitBytes)
      throw new AppError('REQUEST_TOO_LARGE', {
        what: `the state of the sequence needs ${maxBytes} bytes`,
        limit: limitBytes,
      });
    const reservedBytes = this.usage.reservedBytes + takenBytes();
    if (reservedBytes + maxBytes > limitBytes)
      throw new AppError('STATE_FULL', { needBytes: maxBytes, reservedBytes, limitBytes });
    const [slot] = openSlots()
      .map((index) => ({ index, bytes: this.#reservedIn(index) }))
      .sort((a, b) => a.bytes - b.bytes);
    if (slot === undefined) throw new AppError('NOT_READY', { state: 'no worker is ready' });
    const sequence: Sequence = { id: (this.#lastId += 1), slot: slot.index };
    this.#deps.tell(sequence.slot, { kind: 'open', id: sequence.id, maxBytes });
    this.#entries.set(sequence, { maxBytes, heldBytes: 0, steps: 0, isClosed: false, isLost: false });
    return sequence;
  }

  async step(steps: readonly SequenceStep[]): Promise<StepResult> {
    const slot = this.#slotOf(steps);
    const entries = steps.map(({ sequence }) => this.#openEntry(sequence));
    if (!this.#deps.isFree(slot)) throw new AppError('NOT_READY', { state: "the sequence's worker is not free" });
    for (const entry of entries) entry.steps += 1;
    try {
      const result = await this.#deps.step(
        slot,
        steps.map(({ sequence, ...step }) => ({ ...step, id: sequence.id })),
      );
      for (const [index, entry] of entries.entries()) entry.heldBytes = result.stateBytes[index] ?? 0;
      return result;
    } catch (error) {
      // After ENGINE_FAILED the worker still runs, but it is unknown whether it replaced the state. A retry could apply
      // the step twice.
      if (error instanceof AppError && error.code === 'ENGINE_FAILED')
        this.#lose(steps.map(({ sequence }) => sequence));
      throw error;
    } finally {
      for (const entry of entries) entry.steps -= 1;
      for (const { sequence } of steps) this.#releaseIfDone(sequence);
    }
  }

  close(sequence: Sequence): void {
    const entry = this.#entries.get(sequence);
    if (entry === undefined) return;
    entry.isClosed = true;
    this.#releaseIfDone(sequence);
  }

  /** True while a slot holds state that would be lost with its worker. */
  holds(slot: number): boolean {
    return [...this.#entries].some(([sequence, { isLost }]) => sequence.slot === slot && !isLost);
  }

  /** Call this when the worker of a slot has ended: the state of its sequences is lost. */
  loseSlot(slot: number): void {
    this.#lose([...this.#entries.keys()].filter((sequence) => sequence.slot === slot));
  }

  #lose(sequences: readonly Sequence[]): void {
    const lost = sequences.filter((sequence) => this.#entries.get(sequence)?.isLost === false);
    for (const sequence of lost) {
      const entry = this.#entries.get(sequence);
      if (entry !== undefined) Object.assign(entry, { isLost: true, heldBytes: 0 } satisfies Partial<Entry>);
      this.#deps.tell(sequence.slot, { kind: 'close', id: sequence.id });
    }
    if (lost.length > 0) this.#onLost(lost);
  }

  #reservedIn(slot: number): number {
    return [...this.#entries].reduce(
      (sum, [sequence, { maxBytes, isLost }]) => sum + (sequence.slot === slot && !isLost ? maxBytes : 0),
      0,
    );
  }

  #openEntry(sequence: Sequence): Entry {
    const entry = this.#entries.get(sequence);
    if (entry === undefined || entry.isClosed) throw new AppError('SEQUENCE_UNKNOWN', { sequence: sequence.id });
    if (entry.isLost) throw new AppError('SEQUENCE_LOST', { model: this.#deps.model, sequence: sequence.id });
    return entry;
  }

  #slotOf(steps: readonly SequenceStep[]): number {
    const [first, ...others] = new Set(steps.map(({ sequence }) => sequence.slot));
    if (first === undefined || others.length > 0)
      throw new TypeError('a step needs at least one sequence, and all of them in the same slot');
    if (new Set(steps.map(({ sequence }) => sequence)).size < steps.length)
      throw new TypeError('a sequence can be in a step only once');
    return first;
  }

  #releaseIfDone(sequence: Sequence): void {
    const entry = this.#entries.get(sequence);
    if (entry === undefined || !entry.isClosed || entry.steps > 0) return;
    this.#entries.delete(sequence);
    if (!entry.isLost) this.#deps.tell(sequence.slot, { kind: 'close', id: sequence.id });
  }
}
