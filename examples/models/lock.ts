/**
 * Allows one run at a time in a folder, by a file with the process id of the run.
 * Ends: a lock of a process that has ended is ignored.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../api/errors.ts';

/**
 * @returns a function that releases the lock
 * @throws AppError RUN_IN_PROGRESS
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const path = join(folder, 'lock');
  if (!(await tryLock(path))) {
    const holder = Number(await readFile(path, 'utf8').catch(() => ''));
    if (isAlive(holder)) throw new AppError('RUN_IN_PROGRESS', { folder, pid: holder });
    await rm(path, { force: true });
    if (!(await tryLock(path))) throw new AppError('RUN_IN_PROGRESS', { folder, pid: holder });
  }
  return () => rm(path, { force: true });
}

async function tryLock(path: string): Promise<boolean> {
  try {
    await writeFile(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
