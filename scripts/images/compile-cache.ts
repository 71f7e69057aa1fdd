/**
 * Fills Node's compile cache of an image, so that the program starts without compiling.
 * Owns: the run that fills it. The root file system of a container is read-only, so Node could not fill it later.
 * Guarantees: equal programs give equal files. This needs three things: the image's root is the root of the run,
 * because compiled code contains the paths of its files; a fixed random seed, because it contains hashes of strings; no
 * concurrent work of V8. V8 accepts the compiled code without the flags of the last two.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ImageKind } from './image-kinds.ts';
import { BuildError, runProgram } from './run-program.ts';

const repeatable = ['--random-seed=1', '--predictable'];

/**
 * @param root the folder that becomes `/` in the image, with the program
 * @throws BuildError when the program fails, or leaves no compiled code
 */
export function fillCompileCache(root: string, { trialRun, entrypoint, env }: ImageKind): void {
  const folder = env['NODE_COMPILE_CACHE'];
  if (trialRun === undefined || folder === undefined) return;
  const [node = '', ...args] = entrypoint;
  const inRoot = ['/usr/sbin/chroot', root, node, ...repeatable, ...args, ...trialRun];
  // Only root may change the root. Another user may in a user namespace of its own.
  const unshare = process.getuid?.() === 0 ? [] : ['/usr/bin/unshare', '--user', '--map-root-user'];
  const [program = '', ...rest] = [...unshare, ...inRoot];
  runProgram(program, rest, { env });
  const cache = join(root, folder);
  if (!existsSync(cache) || readdirSync(cache).length !== 1)
    throw new BuildError(`${entrypoint.join(' ')} ${trialRun.join(' ')} left no compiled code in ${cache}`);
}
