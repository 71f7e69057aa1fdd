/**
 * The state of sequences, on the side of the worker: tensors that stay in the worker's memory between runs.
 *
 * Owns:   each sequence's tensors, by the name of the input that a tensor becomes in the next step.
 * Limits: new state that is larger than a sequence's `maxBytes` is refused, and the sequence keeps the state from
 *         before the step.
 */
import type { SequenceNews, WorkerStep } from './messages.ts';
import type { EngineResult, PartResult, StepResult } from './port.ts';
import { runParts, type RunOnce } from './rows.ts';
import { makeTensor, tensorsBytes, type NamedTensors, type Tensor } from './tensor.ts';

type State = { readonly maxBytes: number; tensors: NamedTensors };

export class SequenceStates {
  readonly #states = new Map<number, State>();

  hear(news: SequenceNews): void {
    if (news.kind === 'open') this.#states.set(news.id, { maxBytes: news.maxBytes, tensors: {} });
    else this.#states.delete(news.id);
  }

  /**
   * Runs the steps, together if they can be joined. Replaces the state of each sequence whose step succeeded.
   * @param now milliseconds of a monotonic clock
   */
  async step(steps: readonly WorkerStep[], run: RunOnce, now: () => number): Promise<StepResult> {
    const result = await this.#run(steps, run, now);
    const parts = steps.map((step, index) => this.#store(step, result.parts[index]));
    return { ...result, parts, stateBytes: steps.map(({ id }) => tensorsBytes(this.#states.get(id)?.tensors ?? {})) };
  }

  async #run(steps: readonly WorkerStep[], run: RunOnce, now: () => number): Promise<EngineResult> {
    const feeds = steps.map(({ id, inputs }) => ({ ...this.#of(id).tensors, ...inputs }));
    if (new Set(steps.map((step) => namesOf(step).join('\0'))).size === 1)
      return runParts(feeds, namesOf(steps[0]), run, now);
    const began = now();
    const parts: PartResult[] = [];
    for (const [index, step] of steps.entries())
      parts.push(...(await runParts(feeds.slice(index, index + 1), namesOf(step), run, now)).parts);
    return { parts, inferMs: now() - began, together: false };
  }

  #store(step: WorkerStep, part: PartResult | undefined): PartResult {
    if (part?.kind !== 'Done') return part ?? { kind: 'Failed', why: 'the run has no result for this step' };
    const { outputs } = part;
    const missing = namesOf(step).find((name) => outputs[name] === undefined);
    if (missing !== undefined) return { kind: 'Failed', why: `output '${missing}' was not produced` };
    const returned = Object.fromEntries(step.outputs.map((name) => [name, outputs[name] as Tensor]));
    const state = this.#states.get(step.id);
    // The caller may treat a sequence as lost and close it during the run. The results of the other steps stay valid.
    if (state === undefined) return { kind: 'Failed', why: `sequence ${step.id} was closed during the step` };
    const kept = Object.entries(step.keep).map(([output, input]) => [input, outputs[output] as Tensor] as const);
    const tensors = { ...state.tensors, ...Object.fromEntries(kept) };
    const bytes = tensorsBytes(tensors);
    if (bytes > state.maxBytes)
      return { kind: 'Refused', why: `the state of the sequence has ${bytes} bytes; its limit is ${state.maxBytes}` };
    state.tensors = { ...tensors, ...owned(Object.fromEntries(kept), returned) };
    return { kind: 'Done', outputs: returned };
  }

  /** Throws for a sequence that is not open: the pool must only send steps of open sequences. */
  #of(id: number): State {
    const state = this.#states.get(id);
    if (state === undefined) throw new Error(`sequence ${id} is not open in this worker`);
    return state;
  }
}

/** The names of all outputs that a step returns or keeps, without duplicates. */
function namesOf(step: WorkerStep | undefined): readonly string[] {
  return step === undefined ? [] : [...new Set([...step.outputs, ...Object.keys(step.keep)])];
}

/**
 * The same tensors, each with a buffer that belongs to its sequence alone. Two kinds of tensors are copied: a piece of
 * a joined run, because it would keep the buffer of all sequences in memory, and a tensor that shares a buffer with a
 * returned output, because the buffer of a returned output is transferred.
 */
function owned(tensors: NamedTensors, returned: NamedTensors): NamedTensors {
  const leaving = new Set(
    Object.values(returned).map(({ data }) => (ArrayBuffer.isView(data) ? data.buffer : undefined)),
  );
  const own = (tensor: Tensor): Tensor => {
    if (tensor.type === 'string') return tensor;
    const { data, type, dims } = tensor;
    const isWhole = data.byteLength === data.buffer.byteLength;
    return isWhole && !leaving.has(data.buffer) ? tensor : makeTensor(type, dims, data.slice());
  };
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, own(tensor)]));
}
