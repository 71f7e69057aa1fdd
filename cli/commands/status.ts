/**
 * `kubectl-onnx status`: one model on one page, or as one JSON document.
 *
 * Owns: the flags and the help text. text/picture.ts selects the content; text/picture-text.ts makes the layout. Exits
 * with 0 when the model was read, even if the model is not ready.
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

Shows the stable revision, the rollout in progress (steps, traffic, gates with their bounds), failing pods with their
termination messages, the conditions that need attention, and the last rollouts, with the evidence for a rollback.

  -o, --output FORMAT  text (default) or json: one document with all fields
${clusterFlagsHelp}

Exit codes: 0 the model was read, ready or not; 2 wrong flags, or no such model; 4 the API server cannot be reached.
`;

const flags = { ...clusterFlags, output: { type: 'string', short: 'o', default: 'text' } } as const;

/** @throws AppError when a flag is wrong, or the model cannot be read */
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
