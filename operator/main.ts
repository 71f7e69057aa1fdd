/**
 * The operator's process. It re-executes itself with the flags that it needs, then loads the program.
 *
 * Owns: only this order. A process that re-executes itself does not import the program, because loading the program
 * takes most of the time of a start.
 */
import '../scripts/node-guard.cjs';
import { join } from 'node:path';
import { wantedStart } from './start-flags.ts';

/**
 * The folder of compiled code. It is next to the installed packages, so that only the owner of the program can write
 * code that the program runs.
 */
const cacheFolder = join(import.meta.dirname, '..', 'node_modules', '.cache', 'compiled');

/**
 * Re-executes itself (execve); the process id stays the same. In a container image, Node is started with the flags, so
 * nothing has to be re-executed.
 */
function startOver(): void {
  const wanted = wantedStart({ execArgv: process.execArgv, env: process.env }, cacheFolder);
  if (wanted === undefined || process.execve === undefined) return;
  process.execve(
    process.execPath,
    [process.execPath, ...wanted.execArgv, ...process.argv.slice(1)],
    wanted.env as NodeJS.ProcessEnv,
  );
}

startOver();
await import('./operate.ts');
