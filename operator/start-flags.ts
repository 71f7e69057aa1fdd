/**
 * The flags with which the operator's Node must start, and how a process without them re-executes itself.
 *
 * Owns: the size of the heap's young generation, the growth of the old generation (the measurements are in
 * docs/performance.md), and where compiled code is cached. Node reads these only at its start.
 * Pure.
 */

/**
 * Smaller than V8's defaults (32 MiB of young objects, and a heap of twice the live size), which are made for programs
 * that may use gigabytes.
 */
export const nodeFlags: readonly string[] = ['--max-semi-space-size=4', '--heap-growing-percent=30'];

/** The folder where Node stores compiled code, and code without its types, for the next start. */
const compileCache = 'NODE_COMPILE_CACHE';

export type ProcessStart = {
  readonly execArgv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
};

/**
 * How the process must re-execute itself; undefined when it has the flags. A flag that the caller gave with another
 * value is kept.
 *
 * @param cacheFolder used when the environment names no folder; absent: compiled code is not cached
 */
export function wantedStart({ execArgv, env }: ProcessStart, cacheFolder?: string): ProcessStart | undefined {
  const missing = nodeFlags.filter((flag) => !execArgv.some((given) => nameOf(given) === nameOf(flag)));
  if (missing.length === 0) return undefined;
  const cache = cacheFolder === undefined || env[compileCache] !== undefined ? {} : { [compileCache]: cacheFolder };
  return { execArgv: [...missing, ...execArgv], env: { ...env, ...cache } };
}

function nameOf(flag: string): string {
  return flag.split('=', 1)[0] ?? flag;
}
