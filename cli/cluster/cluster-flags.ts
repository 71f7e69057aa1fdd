/**
 * The flags of every subcommand that talks to a cluster, with the names that kubectl uses.
 *
 * Owns: --kubeconfig, --context, --namespace, --help, the NAME argument, and the lines about them in the help text.
 * Throws: BAD_FLAG with the flag that is wrong.
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

/**
 * The model's name, which must be the only argument. The name is checked by the rule of the CRD, so a wrong name fails
 * before any request.
 */
export function onlyName(positionals: readonly string[]): string {
  if (positionals.length !== 1)
    throw new AppError('BAD_FLAG', {
      flag: 'NAME',
      problem: `give the name of one OnnxModel (got ${positionals.length} arguments)`,
    });
  return modelName(positionals[0]);
}

export function modelName(name: string | undefined): string {
  if (name === undefined)
    throw new AppError('BAD_FLAG', { flag: 'NAME', problem: 'give the name of one OnnxModel (got 0 arguments)' });
  if (name.length > 40 || !/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(name))
    throw new AppError('BAD_FLAG', {
      flag: 'NAME',
      problem:
        `'${name.slice(0, 80)}' cannot be the name of an OnnxModel: use at most 40 lower-case letters, digits and ` +
        'hyphens, beginning with a letter',
    });
  return name;
}
