/**
 * The thread of a trial that measures the cost of runs: CPU time and page faults.
 *
 * Owns:  one session of ONNX Runtime, and the choice of the sizes: free dimensions are doubled until a run takes too
 *        long or the model refuses it. The largest sizes are then run in turn, several times each; of the CPU times the
 *        smallest counts, because other programs can only make a run slower.
 */
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../../api/errors.ts';
import type { PacedRun } from '../../config/allocation.ts';
import { openSession, runSession, type OrtSession } from '../../engine/ort-session.ts';
import type { NamedTensors } from '../../engine/tensor.ts';
import { fills, trialInputs } from '../../engine/trial-inputs.ts';
import type { PaceTask, TrialMessage, TrialTask } from './trial-messages.ts';

type Runs = NonNullable<TrialTask['runs']>;
type Sized = { readonly fill: number; readonly inputs: NamedTensors; readonly cost: PacedRun };

/** Sizes that are measured: this many, each twice the size before it. */
const mostSizes = 3;
const rounds = 3;
/** CPU time may grow with the square of the size. */
const doubling = 4;

function pace(
  task: TrialTask,
  { fills: given, runMs, beyond = false }: PaceTask,
  say: (message: TrialMessage) => void,
): void {
  const began = performance.now();
  let session: OrtSession;
  try {
    session = openSession(task);
  } catch (error) {
    return say({ kind: 'failed', why: messageOf(error) });
  }
  const loadedBytes = anonymousBytesNow();
  say({ kind: 'loaded', loadMs: performance.now() - began });
  const runs = task.runs ?? { inputs: [], outputs: [], fills: [], rows: [] };
  try {
    const sizes = given === undefined ? search(session, runs, runMs) : prepared(session, runs, given);
    const costs = measure(session, runs, sizes, runMs);
    const heldBytes = anonymousBytesNow();
    const wentBeyond = beyond && runBeyond(session, runs, costs, runMs);
    const { user, system } = process.cpuUsage();
    const result = { runs: costs, loadedBytes, heldBytes, beyond: wentBeyond, cpuMs: (user + system) / 1000 };
    session.release();
    say({ kind: 'done', made: [], pace: result });
  } catch (error) {
    say({ kind: 'failed', why: messageOf(error) });
  }
}

/** Finds the largest sizes that the model accepts and that need at most `runMs` of CPU time. */
function search(session: OrtSession, runs: Runs, runMs: number): readonly Sized[] {
  let sizes: Sized[] = [];
  for (const first of fills) {
    const one = tryFill(session, runs, first);
    if (one !== undefined) {
      sizes = [one];
      break;
    }
  }
  for (;;) {
    const last = sizes.at(-1);
    if (last === undefined || last.cost.cpuMs * doubling > runMs) return sizes;
    const next = tryFill(session, runs, last.fill * 2);
    if (next === undefined) return sizes;
    sizes = [...sizes, next].slice(-mostSizes);
  }
}

function prepared(session: OrtSession, runs: Runs, given: readonly number[]): readonly Sized[] {
  const sizes: Sized[] = [];
  for (const fill of given) {
    const one = tryFill(session, runs, fill);
    if (one === undefined) throw new Error(`a run of size ${fill} failed`);
    sizes.push(one);
  }
  return sizes;
}

/** @returns false if the run would take too long */
function runBeyond(session: OrtSession, runs: Runs, costs: readonly PacedRun[], runMs: number): boolean {
  const last = costs.at(-1);
  if (last === undefined || last.cpuMs * doubling > runMs * 2) return false;
  tryFill(session, runs, last.fill * 2);
  return true;
}

/** Runs the sizes in turn, so that each run finds the memory in the state that runs of other sizes leave behind. */
function measure(session: OrtSession, runs: Runs, sizes: readonly Sized[], runMs: number): readonly PacedRun[] {
  const seen = sizes.map(({ fill }): { fill: number; cpuMs: number[]; faults: number[] } => ({
    fill,
    cpuMs: [],
    faults: [],
  }));
  const end = cpuMsNow() + runMs * 2;
  for (let round = 0; round < rounds && (round === 0 || cpuMsNow() < end); round += 1)
    for (const [at, { fill, inputs }] of sizes.entries()) {
      const { cpuMs, faults } = costOf(session, runs, fill, inputs);
      seen[at]?.cpuMs.push(cpuMs);
      seen[at]?.faults.push(faults);
    }
  return seen.map(({ fill, cpuMs, faults }) => ({
    fill,
    cpuMs: Math.max(Math.min(...cpuMs), 0.001),
    faults: Math.round(faults.reduce((sum, count) => sum + count, 0) / faults.length),
  }));
}

/** @returns undefined for a size that cannot be generated or that the model refuses */
function tryFill(session: OrtSession, runs: Runs, fill: number): Sized | undefined {
  const inputs = trialInputs(runs.inputs, { fill, rows: 1, seed: 1 });
  if (inputs === undefined) return undefined;
  try {
    return { fill, inputs, cost: costOf(session, runs, fill, inputs) };
  } catch {
    return undefined;
  }
}

function costOf(session: OrtSession, runs: Runs, fill: number, inputs: NamedTensors): PacedRun {
  const faults = process.resourceUsage().minorPageFault;
  const began = cpuMsNow();
  runSession(session, inputs, runs.outputs);
  return { fill, cpuMs: cpuMsNow() - began, faults: process.resourceUsage().minorPageFault - faults };
}

function cpuMsNow(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function anonymousBytesNow(): number {
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) * 1024;
}

const port = parentPort;
if (port !== null) {
  const task = workerData as TrialTask;
  if (task.pace !== undefined) pace(task, task.pace, (message) => port.postMessage(message));
}
