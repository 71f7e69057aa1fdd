/**
 * `kubectl-onnx status`: one model on one page, or as one JSON document.
 *
 * Owns:  the flags. What is shown: picture.ts, how: picture-text.ts.
 * Ends:  0 whenever the model could be read: how it fares is for the reader, or for `wait`, to judge.
 */
import { AppError } from '../../api/errors.ts';
import { systemClock } from '../../lib/clock.ts';
import { parseFlags } from '../../lib/flags.ts';
import { exitCodes, type ExitCode } from '../../lib/lifecycle.ts';
import { clusterFlags, clusterFlagsHelp, onlyName } from '../cluster/cluster-flags.ts';
import { openCluster } from '../cluster/api-server.ts';
import { getModel } from '../cluster/models.ts';
import { pictureText } from '../text/picture-text.ts';
import { pictureOf } from '../text/picture.ts';
import { noTerminal, type Terminal } from '../text/terminal.ts';

export const statusHelp = `Usage: kubectl-onnx status NAME [-o json] [options]

Shows what serves, what is to take over and how far it is - steps, traffic, gates with their bounds -, pods in trouble
with their last words, the conditions that matter and how the last rollouts ended, with what a rollback rested on.

  -o, --output FORMAT  text (default) or json: one document, with everything
${clusterFlagsHelp}

Exit codes: 0 the model was read, however it fares; 2 wrong flags, or no such model; 4 the API server cannot be reached.
`;

const flags = { ...clusterFlags, output: { type: 'string', short: 'o', default: 'text' } } as const;

/** @throws AppError for what the user has to mend */
export async function status(
  argv: readonly string[],
  write: (text: string) => void,
  stop: AbortSignal,
  terminal: Terminal = noTerminal,
): Promise<ExitCode> {
  const { values, positionals } = parseFlags('status', argv, flags);
  if (values.help) {
    write(statusHelp);
    return exitCodes.ok;
  }
  const name = onlyName(positionals);
  const { output } = values;
  if (output !== 'text' && output !== 'json')
    throw new AppError('BAD_FLAG', {
      flag: '--output',
      problem: `'${output.slice(0, 80)}' is not a format; available formats: text, json`,
    });
  const cluster = await openCluster(values);
  const picture = pictureOf(await getModel(cluster, { name, namespace: values.namespace ?? cluster.namespace }, stop));
  write(
    output === 'json'
      ? `${JSON.stringify(picture, undefined, 2)}\n`
      : pictureText(picture, { now: systemClock.now(), width: terminal.columns(), paint: terminal.paint }),
  );
  return exitCodes.ok;
}
