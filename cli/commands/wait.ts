/**
 * `kubectl-onnx wait`: waits until a model is ready or its rollout has failed.
 *
 * Owns: the flags, the progress lines, and three exit codes: 0 Ready, 1 Stalled, 2 timeout, as pipelines expect from a
 * wait command. (In most other commands, exit code 1 means a bug.) Exits with 130 on a signal; other errors have their
 * usual codes.
 */
import { AppError } from '../../api/errors.ts';
import { parseDurationMs } from '../../api/units.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { systemClock } from '../../lib/clock.ts';
import { startDeadline } from '../../lib/deadline.ts';
import { parseFlags } from '../../lib/flags.ts';
import { exitCodes, type ExitCode } from '../../lib/lifecycle.ts';
import { clusterFlags, clusterFlagsHelp, onlyName } from '../cluster/cluster-flags.ts';
import { openCluster, type Cluster } from '../cluster/api-server.ts';
import { followModel, type ModelRef } from '../cluster/models.ts';
import { modelOutcomeOf, type ModelOutcome } from '../cluster/outcome.ts';
import { plainLine } from '../text/plain-text.ts';

export const waitHelp = `Usage: kubectl-onnx wait NAME [--timeout DURATION] [options]

Waits until the current spec of the OnnxModel is ready, or until its rollout has failed. Prints a line for each change.
If the spec changes meanwhile, the command waits for the new spec.

  --timeout DURATION  stop waiting after this time (default: 10m; from 1s to 24h)
  -q, --quiet         print only the last line
${clusterFlagsHelp}

Exit codes: 0 Ready; 1 Stalled: the rollout has failed, and waiting longer does not help;
2 timeout, also wrong flags and a model that does not exist or was deleted (stderr has "error: ..." for these);
4 the API server cannot be reached; 130 interrupted.
`;

export const waitCodes = { Ready: 0, Stalled: 1, Timeout: 2 } as const satisfies Record<string, ExitCode>;
const longestMs = 24 * 3_600_000;

const flags = {
  ...clusterFlags,
  timeout: { type: 'string', default: '10m' },
  quiet: { type: 'boolean', short: 'q', default: false },
} as const;

/** Flags of the commands that start a rollout and can wait until it ends. */
export const waitFlags = { wait: { type: 'boolean', default: false }, timeout: { type: 'string' } } as const;
export const waitHelpLines = `  --wait              after the write, wait as the command "wait" does
  --timeout DURATION  with --wait: stop waiting after this time (default: 10m)
`;

export type WaitPlan = { readonly timeout: string; readonly quiet: boolean };

/** Checks --wait and --timeout of another command. @returns undefined without --wait @throws AppError BAD_FLAG */
export function waitPlanOf({
  wait: asked,
  timeout,
}: {
  readonly wait: boolean;
  readonly timeout?: string | undefined;
}): WaitPlan | undefined {
  if (!asked && timeout !== undefined)
    throw new AppError('BAD_FLAG', { flag: '--timeout', problem: 'requires --wait' });
  if (timeout !== undefined) timeoutOf(timeout);
  return asked ? { timeout: timeout ?? '10m', quiet: false } : undefined;
}

/** @param stop aborted by SIGTERM or SIGINT. @throws AppError when a flag is wrong, or the model cannot be read */
export async function wait(
  argv: readonly string[],
  write: (text: string) => void,
  stop: AbortSignal,
): Promise<ExitCode> {
  const { values, positionals } = parseFlags('wait', argv, flags);
  if (values.help) {
    write(waitHelp);
    return exitCodes.ok;
  }
  const name = onlyName(positionals);
  timeoutOf(values.timeout);
  const cluster = await openCluster(values);
  return waitFor(cluster, { name, namespace: values.namespace ?? cluster.namespace }, values, { write, stop });
}

export type Io = { readonly write: (text: string) => void; readonly stop: AbortSignal };

/** Waits for the final outcome, and prints the progress lines. */
export async function waitFor(
  cluster: Cluster,
  ref: ModelRef,
  { timeout, quiet }: WaitPlan,
  io: Io,
): Promise<ExitCode> {
  const { write, stop } = io;
  const deadline = startDeadline(systemClock, timeoutOf(timeout), stop);
  const say = (line: string, last: boolean): void => {
    if (last || !quiet) write(`${line}\n`);
  };
  try {
    const last = await firstDecision(
      ref,
      followModel(cluster, ref, { clock: systemClock, signal: deadline.signal }),
      say,
    );
    if (last !== undefined && last.outcome !== 'Progressing') return waitCodes[last.outcome];
    if (stop.aborted) return exitCodes.interrupted;
    const doubt = last?.reason === 'NotObserved' ? '; check that the operator is running' : '';
    const so =
      last === undefined ? 'the API server has not answered' : `${last.reason}: ${plainLine(last.message)}${doubt}`;
    say(`${ref.namespace}/${ref.name}: Timeout: not decided within ${timeout}: ${so}`, true);
    return waitCodes.Timeout;
  } finally {
    deadline.dispose();
  }
}

/**
 * @returns the first final outcome (Ready or Stalled), or else the last outcome; undefined when no model was received
 */
async function firstDecision(
  ref: ModelRef,
  models: AsyncIterable<OnnxModel>,
  say: (line: string, last: boolean) => void,
): Promise<ModelOutcome | undefined> {
  let last: { readonly outcome: ModelOutcome; readonly line: string } | undefined;
  for await (const model of models) {
    const outcome = modelOutcomeOf(model);
    const line = lineOf(ref, outcome);
    const stands = outcome.outcome !== 'Progressing';
    if (stands || line !== last?.line) say(line, stands);
    if (stands) return outcome;
    last = { outcome, line };
  }
  return last?.outcome;
}

function lineOf({ namespace, name }: ModelRef, { outcome, reason, message }: ModelOutcome): string {
  return `${namespace}/${name}: ${outcome}: ${reason}: ${plainLine(message)}`;
}

export function timeoutOf(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined || ms < 1000 || ms > longestMs)
    throw new AppError('BAD_FLAG', {
      flag: '--timeout',
      problem: `'${text.slice(0, 80)}' is not a duration from 1s to 24h, such as 90s or 10m`,
    });
  return ms;
}
