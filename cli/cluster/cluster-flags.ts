/**
 * The flags of every subcommand that speaks to a cluster, spelled as kubectl spells them.
 *
 * Owns:   --kubeconfig, --context, --namespace, --help, the one NAME, and their lines in the help text.
 * Errors: BAD_FLAG that names the flag at fault.
 */
import { AppError } from '../../api/errors.ts';

export const clusterFlags = {
  kubeconfig: { type: 'string' },
  context: { type: 'string' },
  namespace: { type: 'string', short: 'n' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

export const clusterFlagsHelp = `  -n, --namespace NS  namespace of the model (default: the context's)
  --kubeconfig FILE   (default: $KUBECONFIG, then ~/.kube/config)
  --context NAME      (default: the file's current context)
  --help`;

/** The model's name: the only argument. What the kind's own rule refuses is refused here, before it is asked for. */
export function onlyName(positionals: readonly string[]): string {
  if (positionals.length !== 1)
    throw new AppError('BAD_FLAG', {
      flag: 'NAME',
      problem: `needs one name of an OnnxModel, got ${positionals.length}`,
    });
  return modelName(positionals[0]);
}

export function modelName(name: string | undefined): string {
  if (name === undefined)
    throw new AppError('BAD_FLAG', { flag: 'NAME', problem: 'needs one name of an OnnxModel, got 0' });
  if (name.length > 40 || !/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(name))
    throw new AppError('BAD_FLAG', {
      flag: 'NAME',
      problem: `'${name.slice(0, 80)}' cannot be the name of an OnnxModel`,
    });
  return name;
}
