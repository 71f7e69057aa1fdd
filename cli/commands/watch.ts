/**
 * `kubectl-onnx watch`: a rollout as it goes, live on a terminal, as lines elsewhere.
 *
 * Owns:  the flags, when the picture is drawn anew, and the end. What it shows: picture.ts; as what: picture-text.ts.
 * Ends:  as soon as the model is ready or certain not to become so, with the codes of `wait` (0, 1, 2); with --follow
 *        on a signal or the timeout alone.
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

Shows a rollout as it goes: its steps, the traffic asked for and got, both revisions, and gate by gate the estimate, its
bounds against the limit and the requests that are still needed. On a terminal it is drawn in place; elsewhere each \
change
is a line. Numbers are the status's own, as of the time that stands beside them.

It ends as soon as the model is ready at the spec it has now, or its rollout has failed.

  --follow            go on after that, until it is interrupted
  --timeout DURATION  give up after so long (default: 24h; from 1s to 24h)
${clusterFlagsHelp}

Exit codes: 0 Ready; 1 Stalled; 2 timeout, also wrong flags and a model that does not exist or was deleted; 4 the API
server cannot be reached; 130 interrupted. With --follow 0 at the timeout. NO_COLOR=1 turns colours off.
`;

const flags = {
  ...clusterFlags,
  follow: { type: 'boolean', default: false },
  timeout: { type: 'string', default: '24h' },
} as const;

/** @throws AppError for what the user has to mend */
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

/** @returns the code of the outcome that ended it; undefined when the signal did */
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
