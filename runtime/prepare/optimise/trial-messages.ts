/**
 * What a trial's child process is told and what it answers.
 *
 * Owns: the messages between trial.ts and trial-child.ts. They cross by Node's IPC channel as JSON.
 */
import type { Sample } from '../../engine/trial-inputs.ts';
import type { TensorSpec } from '../../engine/signature.ts';

export type TrialTask = {
  readonly graphPath: string;
  /** As ONNX Runtime takes them. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Runs to make after loading; none: only load. */
  readonly runs?: {
    readonly inputs: readonly TensorSpec[];
    readonly outputs: readonly string[];
    /** Tried in order; the runs are those of the first fill that works. */
    readonly fills: readonly number[];
    readonly rows: readonly number[];
  };
  /** File for the runs' outputs. */
  readonly writeTo?: string;
  /** File of another trial's outputs: the runs are made with its samples, and compared. */
  readonly compareWith?: string;
};

export type TrialMessage =
  | { readonly say: 'loading' }
  | { readonly say: 'loaded'; readonly loadMs: number }
  /** `made` are the runs that worked, `why` what the last failing one said. */
  | { readonly say: 'done'; readonly made: readonly Sample[]; readonly why?: string; readonly difference?: string }
  | { readonly say: 'failed'; readonly why: string };
