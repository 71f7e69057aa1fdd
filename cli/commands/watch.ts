/**
 * `kubectl-onnx watch`: shows the progress of a rollout. On a terminal it redraws the text in place; otherwise it
 * prints lines.
 *
 * Owns: the flags, and when the command ends. text/picture.ts selects the content; text/picture-text.ts makes the
 * layout. Exits when the model is ready or its rollout has failed, with the codes of `wait`. With --follow it exits
 * only on a signal or at the timeout.
 */
import { systemClock } from '../../lib/clock.ts';
import { startDeadline } from '../../lib/deadline.ts';
import { parseFlags } from '../../lib/flags.ts';
import { exitCodes, type ExitCode } from '../../lib/lifecycle.ts';
import { clusterFlags, clusterFlagsHelp, onlyName } from '../cluster/cluster-flags.ts';
import { openCluster, type Cluster } from '../cluster/api-server.ts';
import { followModel, type ModelRef } from '../cluster/models.ts';
import { noTerminal, type Terminal } from '../text/terminal.ts';
import { timeoutOf, waitCodes } from './wait.ts';
import { LineView, LiveView, type WatchView } from '../text/watch-views.ts';

export const watchHelp = `Usage: kubectl-onnx watch NAME [options]

Shows the progress of a rollout: its steps, target and actual traffic, both revisions, and for each gate the estimate,
its bounds, the limit and the requests still needed. On a terminal the page is redrawn in place; elsewhere each change
is a line. All numbers are from the status, as of the time shown beside them.

The command ends when the current spec of the model is ready, or when its rollout has failed.

  --follow            do not end then; continue until interrupted
  --timeout DURATION  stop after this time (default: 24h; from 1s to 24h)
${clusterFlagsHelp}

Exit codes: 0 Ready; 1 Stalled; 2 timeout, also wrong flags and a model that does not exist or was deleted; 4 the API
server cannot be reached; 130 interrupted. With --follow, 0 at the timeout. NO_COLOR=1 turns colours off.
`;

const flags = {
  ...clusterFlags,
  follow: { type: 'boolean', default: false },
  timeout: { type: 'string', default: '24h' },
} as const;

/** @throws AppError when a flag is wrong, or the model cannot be read */
export async function watch(
  argv: readonly string[],
  write: (text: string) => void,
  stop: AbortSignal,
  terminal: Terminal = noTerminal,
): Promise<ExitCode> {
  const { values, positionals } = parseFlags('watch', argv, flags);
  if (values.help) {
    write(watchHelp);
    return exitCodes.ok;
  }
  const name = onlyName(positionals);
  const timeoutMs = timeoutOf(values.timeout);
  const cluster = await openCluster(values);
  const ref = { name, namespace: values.namespace ?? cluster.namespace };
  const deadline = startDeadline(systemClock, timeoutMs, stop);
  const show = terminal.isLive ? new LiveView(write, terminal, systemClock) : new LineView(write, systemClock);
  try {
    const ended = await watchUntilDecided({ cluster, ref, show, follow: values.follow, signal: deadline.signal });
    if (ended !== undefined) return ended;
    if (stop.aborted) return exitCodes.interrupted;
    return values.follow ? exitCodes.ok : waitCodes.Timeout;
  } finally {
    show.end();
    deadline.dispose();
  }
}

type Watching = {
  readonly cluster: Cluster;
  readonly ref: ModelRef;
  readonly show: WatchView;
  readonly follow: boolean;
  readonly signal: AbortSignal;
};

/** @returns the exit code of the final outcome; undefined when the signal ended the watch */
async function watchUntilDecided({ cluster, ref, show, follow, signal }: Watching): Promise<ExitCode | undefined> {
  for await (const model of followModel(cluster, ref, {
    clock: systemClock,
    signal,
    trouble: (problem) => show.trouble(problem),
  })) {
    const picture = show.see(model);
    if (!follow && picture.outcome !== 'Progressing') return waitCodes[picture.outcome];
  }
  return undefined;
}
