/**
 * Decides with which flags the operator's Node must start, and how a process without these flags re-executes itself.
 *
 * Owns: the size of the heap's young generation, the growth of the old generation (the measurements are in
 * docs/performance.md), and where compiled code is cached. Node reads these settings only at its start.
 * Pure.
 */

/**
 * Limits of the heap that are lower than V8's defaults. The defaults allow 32 MiB of young objects and a heap of twice
 * the live size, for programs that may use gigabytes.
 */
export const nodeFlags: readonly string[] = ['--max-semi-space-size=4', '--heap-growing-percent=30'];

/**
 * The environment variable that names Node's cache folder. There, Node stores compiled code, and TypeScript without its
 * types, for the next start.
 */
const compileCache = 'NODE_COMPILE_CACHE';

export type ProcessStart = {
  readonly execArgv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
};

/**
 * How the process must re-execute itself; undefined when it was started with the flags. If a flag was given with
 * another value, that value is kept.
 *
 * @param cacheFolder the cache folder when the environment does not name one; if both are absent, compiled code is not
 * cached
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
