/**
 * The operator's process. It re-executes itself with the flags that it needs, then loads the program.
 *
 * Owns: only this order. The program is imported only by the process that runs it, because loading takes most of a
 * start.
 */
import '../scripts/node-guard.cjs';
import { join } from 'node:path';
import { wantedStart } from './start-flags.ts';

/** The folder is next to the installed packages, so that only the owner of the program can write code that it runs. */
const cacheFolder = join(import.meta.dirname, '..', 'node_modules', '.cache', 'compiled');

/** Re-executes itself (execve); the process id stays the same. An image passes the flags from the start. */
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
