/**
 * The operator's process. It first re-executes itself with the Node flags that it needs. The new process then loads the
 * program.
 *
 * Owns: the order of these two steps. The first process does not import the program, because the import takes most of
 * the time of a start.
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
 * Re-executes itself (execve); the process id stays the same. Where execve is not permitted, the process continues
 * without the flags.
 */
function startOver(): void {
  const nodeMajor = Number(process.versions.node.split('.', 1)[0]);
  const wanted = wantedStart({ execArgv: process.execArgv, env: process.env, nodeMajor }, cacheFolder);
  if (wanted === undefined || process.execve === undefined) return;
  try {
    process.execve(
      process.execPath,
      [process.execPath, ...wanted.execArgv, ...process.argv.slice(1)],
      wanted.env as NodeJS.ProcessEnv,
    );
  } catch {
    // Node's permission model refuses execve. The flags only save memory.
  }
}

startOver();
await import('./operate.ts');
