/**
 * The folder that holds local mode's state: claimed by one process at a time.
 *
 * Owns:  making it, the lock in it, and removing a temporary one.
 * Why:   two local modes on one folder would kill each other's containers, each taking them for leftovers.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, messageOf } from '../api/errors.ts';
import { startTime } from './kubelet/process-records.ts';

export interface DataFolder {
  readonly dir: string;
  /** Gives the folder up; a temporary one is removed. */
  close(): void;
}

/**
 * @param wanted absent: a temporary folder
 * @throws AppError FOLDER_UNUSABLE, DATA_IN_USE
 */
export function openDataFolder(wanted: string | undefined): DataFolder {
  const dir = makeFolder(wanted);
  const lock = join(dir, 'lock');
  claim(dir, lock);
  return { dir, close: () => rmSync(wanted === undefined ? dir : lock, { recursive: true, force: true }) };
}

function makeFolder(wanted: string | undefined): string {
  try {
    // Only for its owner: the kubeconfig in it lets whoever reads it start processes.
    if (wanted === undefined) return mkdtempSync(join(tmpdir(), 'onnx-local-'));
    mkdirSync(wanted, { recursive: true, mode: 0o700 });
    return wanted;
  } catch (error) {
    throw new AppError('FOLDER_UNUSABLE', { dir: wanted ?? tmpdir(), why: messageOf(error) });
  }
}

function claim(dir: string, lock: string): void {
  const line = `${process.pid} ${startTime(process.pid)}\n`;
  for (let tries = 0; tries < 2; tries += 1) {
    try {
      return writeFileSync(lock, line, { flag: 'wx' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw new AppError('FOLDER_UNUSABLE', { dir, why: messageOf(error) });
      const holder = holderOf(lock);
      if (holder !== undefined) throw new AppError('DATA_IN_USE', { dir, pid: holder });
      rmSync(lock, { force: true });
    }
  }
  throw new AppError('FOLDER_UNUSABLE', { dir, why: 'its lock cannot be taken' });
}

/** The process that holds the lock, if it still runs: a number given out again has another start time. */
function holderOf(lock: string): number | undefined {
  const [pid = '', start] = readFileSync(lock, 'utf8').trim().split(' ');
  return startTime(Number(pid)) === start && start !== undefined ? Number(pid) : undefined;
}
