/**
 * Decides with which flags Node.js must start the operator, and how a process without these flags re-executes itself.
 *
 * Owns: the size of the heap's young generation, the growth of the old generation (the measurements are in
 * docs/performance.md), and where compiled code is cached. Node reads these settings only at its start.
 * Pure.
 */

/**
 * This flag and `growth` keep the heap smaller than V8's defaults, which are for programs that may use gigabytes: they
 * allow 32 MiB of young objects and a heap of twice the live size.
 */
const youngGeneration = '--max-semi-space-size=4';
/**
 * Node does not document this V8 flag, and Node does not start with a flag that its V8 does not have. Therefore only
 * the tested major version of Node gets the flag.
 */
const growth = { flag: '--heap-growing-percent=30', nodeMajor: 26 };

/** @param nodeMajor the major version of Node */
export function nodeFlags(nodeMajor: number): readonly string[] {
  return [youngGeneration, ...(nodeMajor === growth.nodeMajor ? [growth.flag] : [])];
}

/**
 * The environment variable that names Node's cache folder. For the next start, Node stores compiled code in this
 * folder, and TypeScript code without its types.
 */
const compileCache = 'NODE_COMPILE_CACHE';
/**
 * glibc's number of heaps. By default each thread gets a heap of its own, which keeps freed memory. With one heap the
 * process takes about 14 MiB less at 1,000 models.
 */
export const startEnvironment = { MALLOC_ARENA_MAX: '1' } as const;

export type ProcessStart = {
  readonly execArgv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
};
/** The process that may have to re-execute itself, and the major version of its Node. */
export type StartedProcess = ProcessStart & { readonly nodeMajor: number };

/**
 * How the process must re-execute itself; undefined when it was started with the flags. If a flag was given with
 * another value, on the command line or in NODE_OPTIONS, that value is kept.
 *
 * @param cacheFolder the cache folder when the environment does not name one; if both are absent, compiled code is not
 * cached
 */
export function wantedStart(
  { execArgv, env, nodeMajor }: StartedProcess,
  cacheFolder?: string,
): ProcessStart | undefined {
  const given = new Set([...execArgv, ...(env['NODE_OPTIONS'] ?? '').split(/\s+/)].map(nameOf));
  const missing = nodeFlags(nodeMajor).filter((flag) => !given.has(nameOf(flag)));
  if (missing.length === 0) return undefined;
  const cache = cacheFolder === undefined || env[compileCache] !== undefined ? {} : { [compileCache]: cacheFolder };
  return { execArgv: [...missing, ...execArgv], env: { ...startEnvironment, ...env, ...cache } };
}

/** Node accepts `_` for `-` in the names of flags. */
function nameOf(flag: string): string {
  return (flag.split('=', 1)[0] ?? flag).replaceAll('_', '-');
}
