/**
 * An engine without threads or models: a function of the test computes the results, and the test decides when a run
 * ends.
 * Owns: the same contract as the real pool of workers; test/conformance/engine checks both. A batch is the rows of
 * several requests in one run. A sequence is many runs (steps) with a state; a slot stands for one worker.
 */
import { AppError } from '../../api/errors.ts';
import type { WorkerStep } from '../../runtime/engine/messages.ts';
import type { Engine, EngineBatch, EngineResult, StepResult } from '../../runtime/engine/port.ts';
import { runParts } from '../../runtime/engine/rows.ts';
import { SequenceStates } from '../../runtime/engine/sequence-states.ts';
import { SlotSequences } from '../../runtime/engine/sequences.ts';
import type { NamedTensors } from '../../runtime/engine/tensor.ts';

export type FakeModel = (inputs: NamedTensors, outputs: readonly string[]) => NamedTensors;

export type FakeEngineOptions = {
  readonly model: FakeModel;
  readonly slots?: number;
  /** Limit of the state of all sequences, in bytes. */
  readonly stateBytes?: number;
  /** True for inputs at which the worker ends instead of running the step. */
  readonly isFatal?: (inputs: NamedTensors) => boolean;
  /** Called with the inputs of each batch or step before it runs. The batch or step runs when the promise resolves. */
  readonly gate?: (batch: EngineBatch) => Promise<void>;
};

type FakeSlot = { lose: ((error: AppError) => void) | undefined; states: SequenceStates };

export class FakeEngine implements Engine {
  readonly #options: FakeEngineOptions;
  /** The slots. `lose` is defined while the slot runs a batch or a step; calling it makes the run fail. */
  readonly #slots: readonly FakeSlot[];
  readonly sequences: SlotSequences;
  #onFree: () => void = () => {};
  #closing = false;
  #wakeCloser: () => void = () => {};
  /** The batches that were run, in order. */
  readonly batches: EngineBatch[] = [];
  recycled = 0;

  constructor(options: FakeEngineOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.slots ?? 1 }, () => ({ lose: undefined, states: new SequenceStates() }));
    this.sequences = new SlotSequences({
      model: 'fake',
      limitBytes: options.stateBytes ?? 0,
      openSlots: () => (this.#closing ? [] : [...this.#slots.keys()]),
      isFree: (slot) => !this.#closing && this.#slots[slot] !== undefined && this.#slots[slot].lose === undefined,
      tell: (slot, news) => this.#slots[slot]?.states.hear(news),
      step: (slot, steps) => this.#occupy(slot, (states) => this.#step(slot, states, steps)),
    });
  }

  get freeSlots(): number {
    return this.#closing ? 0 : this.#slots.filter(({ lose }) => lose === undefined).length;
  }

  get workers(): { readonly ready: number; readonly wanted: number } {
    return { ready: this.#slots.length, wanted: this.#slots.length };
  }

  onFree(listener: () => void): void {
    this.#onFree = listener;
  }

  async run(batch: EngineBatch): Promise<EngineResult> {
    if (this.freeSlots <= 0) throw new AppError('NOT_READY', { state: 'no worker is free' });
    this.batches.push(batch);
    return this.#occupy(
      this.#slots.findIndex(({ lose }) => lose === undefined),
      () => this.#compute(batch),
    );
  }

  /**
   * Acts as if workers had ended during a run: their running batches and the state of their sequences are lost, and
   * their slots become free again.
   * @param only the slot whose worker ends; absent: all
   */
  lose(only?: number): void {
    for (const [index, slot] of this.#slots.entries()) {
      if (only !== undefined && only !== index) continue;
      slot.states = new SequenceStates();
      slot.lose?.(new AppError('ENGINE_LOST', { model: 'fake' }));
      this.sequences.loseSlot(index);
    }
  }

  recycle(): void {
    this.recycled += 1;
  }

  async close(): Promise<void> {
    this.#closing = true;
    while (this.#slots.some(({ lose }) => lose !== undefined))
      await new Promise<void>((resolve) => {
        this.#wakeCloser = resolve;
      });
  }

  /** Runs `work` in a slot. If `lose` is called for the slot meanwhile, the work fails. */
  async #occupy<T>(index: number, work: (states: SequenceStates) => Promise<T>): Promise<T> {
    const slot = this.#slots[index];
    if (slot === undefined) throw new Error(`there is no slot ${index}`);
    const lost = Promise.withResolvers<never>();
    slot.lose = lost.reject;
    try {
      return await Promise.race([work(slot.states), lost.promise]);
    } finally {
      slot.lose = undefined;
      this.#wakeCloser();
      this.#onFree();
    }
  }

  async #step(slot: number, states: SequenceStates, steps: readonly WorkerStep[]): Promise<StepResult> {
    if (steps.some(({ inputs }) => this.#options.isFatal?.(inputs) === true)) this.lose(slot);
    await this.#options.gate?.({ parts: steps.map(({ inputs }) => inputs), outputs: [] });
    return states.step(
      steps,
      (inputs, outputs) => Promise.resolve(this.#options.model(inputs, outputs)),
      () => performance.now(),
    );
  }

  async #compute(batch: EngineBatch): Promise<EngineResult> {
    await (this.#options.gate?.(batch) ?? Promise.resolve());
    return runParts(
      batch.parts,
      batch.outputs,
      (inputs, outputs) => Promise.resolve(this.#options.model(inputs, outputs)),
      () => performance.now(),
    );
  }
}
