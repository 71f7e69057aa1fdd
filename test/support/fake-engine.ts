/**
 * An engine without threads or models: a function of the test computes, and the test decides when.
 * Owns: the same contract as the real pool; test/conformance/engine checks both.
 */
import { AppError } from '../../api/errors.ts';
import type { Engine, EngineBatch, EngineResult } from '../../runtime/engine/port.ts';
import { runParts } from '../../runtime/engine/rows.ts';
import type { NamedTensors } from '../../runtime/engine/tensor.ts';

export type FakeModel = (inputs: NamedTensors, outputs: readonly string[]) => NamedTensors;

export type FakeEngineOptions = {
  readonly model: FakeModel;
  readonly slots?: number;
  /** Called before each batch runs; the batch runs when the promise resolves. */
  readonly gate?: (batch: EngineBatch) => Promise<void>;
};

export class FakeEngine implements Engine {
  readonly #options: FakeEngineOptions;
  readonly #slots: number;
  #running = 0;
  #onFree: () => void = () => {};
  #closing = false;
  #wakeCloser: () => void = () => {};
  #lost: ((error: AppError) => void)[] = [];
  /** The batches that were run, in order. */
  readonly batches: EngineBatch[] = [];
  recycled = 0;

  constructor(options: FakeEngineOptions) {
    this.#options = options;
    this.#slots = options.slots ?? 1;
  }

  get freeSlots(): number {
    return this.#closing ? 0 : this.#slots - this.#running;
  }

  get workers(): { readonly ready: number; readonly wanted: number } {
    return { ready: this.#slots, wanted: this.#slots };
  }

  onFree(listener: () => void): void {
    this.#onFree = listener;
  }

  async run(batch: EngineBatch): Promise<EngineResult> {
    if (this.freeSlots <= 0) throw new AppError('NOT_READY', { state: 'no worker is free' });
    this.#running += 1;
    this.batches.push(batch);
    try {
      return await Promise.race([this.#compute(batch), new Promise<never>((_, reject) => this.#lost.push(reject))]);
    } finally {
      this.#running -= 1;
      this.#wakeCloser();
      this.#onFree();
    }
  }

  /** As if the worker had ended during a run: running batches are lost, and the slot becomes free again. */
  lose(): void {
    for (const reject of this.#lost.splice(0)) reject(new AppError('ENGINE_LOST', { model: 'fake' }));
  }

  recycle(): void {
    this.recycled += 1;
  }

  async close(): Promise<void> {
    this.#closing = true;
    while (this.#running > 0)
      await new Promise<void>((resolve) => {
        this.#wakeCloser = resolve;
      });
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
