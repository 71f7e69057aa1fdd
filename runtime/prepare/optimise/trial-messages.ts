/**
 * Messages between trial.ts and its child process, trial-child.ts. Node's IPC channel carries them as JSON.
 */
import type { PacedRun } from '../../config/allocation.ts';
import type { TrialSample } from '../../engine/trial-inputs.ts';
import type { TensorSpec } from '../../engine/signature.ts';

export type TrialTask = {
  readonly graphPath: string;
  /** ONNX Runtime's session options. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Runs to make after loading; absent: only load. */
  readonly runs?: {
    readonly inputs: readonly TensorSpec[];
    readonly outputs: readonly string[];
    /** Sizes of the free dimensions, tried in order until one works. */
    readonly fills: readonly number[];
    readonly rows: readonly number[];
  };
  /** Measure the cost of runs instead of checking their outputs. */
  readonly pace?: PaceTask;
  /** File for the runs' outputs. */
  readonly writeTo?: string;
  /** File with another trial's outputs. The samples of that trial are run again, and the outputs are compared. */
  readonly compareWith?: string;
};

/** Measures the CPU time and the page faults of runs, in a thread like the threads of the server's workers. */
export type PaceTask = {
  /** Sizes of the free dimensions to measure; absent: the thread searches the largest sizes that the model accepts. */
  readonly fills?: readonly number[];
  /**
   * A size is only measured if its run takes at most this CPU time. All runs together take about three times as much.
   */
  readonly runMs: number;
  /** Also make a run of twice the largest size, after the measured runs; the peak of memory then includes it. */
  readonly beyond?: boolean;
};

export type PaceResult = {
  readonly runs: readonly PacedRun[];
  /** Anonymous memory of the process after the measured runs. */
  readonly heldBytes: number;
  /** True if the model ran or refused twice the largest size: the peak of memory then covers larger inputs. */
  readonly beyond: boolean;
  /** Anonymous memory of the process after loading. */
  readonly loadedBytes: number;
  /** CPU time of the process from its start. */
  readonly cpuMs: number;
};

export type TrialMessage =
  | { readonly kind: 'loading' }
  | { readonly kind: 'loaded'; readonly loadMs: number }
  | {
      readonly kind: 'done';
      /** The runs that succeeded. */
      readonly made: readonly TrialSample[];
      /** The message of the last run that failed; absent when no run failed. */
      readonly why?: string;
      /**
       * How an output differs from the output in `compareWith`, or why a run failed that succeeded in the other trial;
       * absent when the outputs agree.
       */
      readonly difference?: string;
      /** The answer to `pace`. */
      readonly pace?: PaceResult;
    }
  | { readonly kind: 'failed'; readonly why: string };
