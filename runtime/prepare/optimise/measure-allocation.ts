/**
 * Measures the settings of config/allocation.ts with a model, each in a process of its own.
 *
 * Owns:   the environment of these processes, and when to stop: when page faults cost little, or when the CPU time for
 *         measuring is used up. Does not reject when a setting cannot be measured; the result gives the reason.
 * Limits: about 5 s of CPU time; a process that runs longer than `patienceMs` is stopped.
 */
import type { ProviderName } from '../../../api/choices.ts';
import {
  allocationsToMeasure,
  faultsAreCheap,
  type Allocation,
  type AllocationMeasurement,
  type ArenaMode,
  type MeasuredAllocation,
} from '../../config/allocation.ts';
import type { SessionOptions } from '../../engine/session-options.ts';
import type { TensorSpec } from '../../engine/signature.ts';
import { nativeEnvironmentOf } from '../../config/native-environment.ts';
import { runTrial, type TrialBounds, type TrialDeps, type TrialOutcome } from './trial.ts';
import type { PaceResult } from './trial-messages.ts';

export type AllocationJob = {
  readonly graphPath: string;
  readonly optionsFor: (allocation: Allocation) => SessionOptions;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly string[];
  readonly mode: ArenaMode;
  /** True if sizes vary between requests. */
  readonly varies: boolean;
  readonly provider: ProviderName;
  /** True if the model ran on generated inputs. */
  readonly ran: boolean;
  /** Memory for the measuring process; absent: no limit. */
  readonly memoryBytes?: number;
  readonly deps: TrialDeps;
};

/** No further setting is measured when the processes have used this CPU time. */
const budgetMs = 3500;
/** A size is measured only if its run is predicted to take at most this CPU time. */
const runMs = 500;
const patienceMs = 20_000;

export async function measureAllocation(job: AllocationJob): Promise<AllocationMeasurement> {
  const why = whyNotMeasure(job);
  if (why !== undefined) return { measured: [], why };
  const measured: MeasuredAllocation[] = [];
  let usedMs = 0;
  for (const allocation of allocationsToMeasure(job.mode, job.varies)) {
    const fills = measured[0]?.runs.map(({ fill }) => fill);
    const outcome = await tryOne(job, allocation, fills);
    if (typeof outcome === 'string') {
      if (measured.length === 0) return { measured, why: outcome };
      continue;
    }
    const { runs, cpuMs } = outcome.pace;
    measured.push(measuredOf(allocation, outcome));
    usedMs += cpuMs;
    // If page faults cost little, the settings that follow cannot save CPU time, and they do not take less memory.
    if (runs.length === 0 || faultsAreCheap({ runs })) break;
    if (usedMs > budgetMs) return { measured, why: 'not every setting was measured, because measuring took too long' };
  }
  return { measured };
}

type Tried = { readonly pace: PaceResult; readonly peakBytes: number };

function measuredOf(allocation: Allocation, { pace, peakBytes }: Tried): MeasuredAllocation {
  const { runs, loadedBytes, heldBytes, beyond } = pace;
  // If a larger run followed the measured runs, `peakBytes` includes that run. The arena keeps its memory, so
  // `heldBytes` is the peak of the measured runs.
  const ownPeak = beyond ? heldBytes : Math.max(heldBytes, peakBytes);
  return {
    ...allocation,
    runs,
    loadedBytes,
    peakBytes: ownPeak,
    ...(beyond ? { beyondBytes: Math.max(ownPeak, peakBytes) } : {}),
  };
}

function whyNotMeasure({ mode, varies, provider, ran, outputs }: AllocationJob): string | undefined {
  if (mode === 'On') return 'spec.memory.arena is On';
  if (!varies) return mode === 'Off' ? 'spec.memory.arena is Off' : 'the sizes of the inputs are fixed';
  if (provider !== 'CPU') return `the model runs on ${provider}`;
  return ran && outputs.length > 0 ? undefined : 'the model could not be run on generated inputs';
}

/** @returns the reason when the setting could not be measured */
async function tryOne(
  { graphPath, optionsFor, inputs, outputs, memoryBytes, deps }: AllocationJob,
  allocation: Allocation,
  fills: readonly number[] | undefined,
): Promise<Tried | string> {
  const bounds: TrialBounds = {
    timeoutMs: patienceMs,
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
  const task = {
    graphPath,
    options: optionsFor(allocation),
    runs: { inputs, outputs, fills: [], rows: [] },
    pace: { runMs, beyond: allocation.arena, ...(fills === undefined ? {} : { fills }) },
  };
  const environment = { ...deps.environment, ...nativeEnvironmentOf(allocation.thresholdBytes) };
  const outcome = await runTrial(task, bounds, { ...deps, environment });
  if (outcome.kind !== 'Done' || outcome.result.pace === undefined) return failureOf(outcome);
  return { pace: outcome.result.pace, peakBytes: outcome.peakBytes };
}

function failureOf(outcome: TrialOutcome): string {
  switch (outcome.kind) {
    case 'Done':
      return 'measuring failed';
    case 'Refused':
      return `measuring failed: ${outcome.why.slice(0, 200)}`;
    case 'Died':
      return `the process that measured ended: ${outcome.how}`;
    case 'TooLarge':
      return 'measuring needs more memory than the limit';
    case 'TooSlow':
      return `measuring took more than ${patienceMs / 1000} s`;
  }
}
