/**
 * The folder with the state of local mode (a Kubernetes cluster in one process). One process uses it at a time.
 * Owns: creating the folder, its marker file and its lock, and removing a temporary folder. A start deletes what
 * earlier runs left in the folder, so a folder with other files is refused.
 * Why: if two local modes used one folder, each would treat the containers of the other local mode as leftovers and
 * kill them.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, messageOf } from '../api/errors.ts';
import { startTime } from './kubelet/process-records.ts';

export interface DataFolder {
  readonly dir: string;
  /** Releases the folder, and removes it if it is temporary. */
  close(): void;
}

/**
 * Opens the folder, or creates it.
 * @param wanted the path; absent: a temporary folder
 * @throws AppError FOLDER_UNUSABLE, DATA_IN_USE
 */
export function openDataFolder(wanted: string | undefined): DataFolder {
  const dir = makeFolder(wanted);
  refuseOthers(dir);
  const lock = join(dir, 'lock');
  claim(dir, lock);
  return { dir, close: () => rmSync(wanted === undefined ? dir : lock, { recursive: true, force: true }) };
}

function makeFolder(wanted: string | undefined): string {
  try {
    // Only its owner can access the folder: a reader of the kubeconfig in it could start processes as this user.
    if (wanted === undefined) return mkdtempSync(join(tmpdir(), 'onnx-local-'));
    mkdirSync(wanted, { recursive: true, mode: 0o700 });
    return wanted;
  } catch (error) {
    throw new AppError('FOLDER_UNUSABLE', { dir: wanted ?? tmpdir(), why: messageOf(error) });
  }
}

/**
 * The name of the marker file, which shows that the folder belongs to local mode. The content of the file does not
 * matter.
 */
const mark = 'local-mode-of-onnx-operator';

function refuseOthers(dir: string): void {
  const inside = readdirSync(dir);
  if (inside.length > 0 && !inside.includes(mark) && !inside.includes('lock')) {
    throw new AppError('FOLDER_UNUSABLE', {
      dir,
      why:
        `it contains other files (${inside.slice(0, 3).join(', ')}): give an empty folder, or the data folder of an ` +
        'earlier run',
    });
  }
  try {
    writeFileSync(join(dir, mark), '');
  } catch (error) {
    throw new AppError('FOLDER_UNUSABLE', { dir, why: messageOf(error) });
  }
}

function claim(dir: string, lock: string): void {
  const line = `${process.pid} ${startTime(process.pid)}\n`;
  for (let tries = 0; tries < 2; tries += 1) {
    try {
      return writeFileSync(lock, line, { flag: 'wx' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
        throw new AppError('FOLDER_UNUSABLE', { dir, why: messageOf(error) });
      const holder = holderOf(lock);
      if (holder !== undefined) throw new AppError('DATA_IN_USE', { dir, pid: holder });
      rmSync(lock, { force: true });
    }
  }
  throw new AppError('FOLDER_UNUSABLE', { dir, why: 'its lock file cannot be created' });
}

/**
 * The id of the process that holds the lock, if it is still running. The start time in the lock detects a process id
 * that was reused.
 */
function holderOf(lock: string): number | undefined {
  const [pid = '', start] = readFileSync(lock, 'utf8').trim().split(' ');
  return startTime(Number(pid)) === start && start !== undefined ? Number(pid) : undefined;
}
