/**
 * Files that survive a crash at any moment: written whole under another name, forced to disk, then renamed.
 *
 * Owns: the order of those steps, and telling a full disk from other faults.
 */
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError } from '../../../api/errors.ts';

/** Readers see the old content or the new, never a part. Two writers at once: one of them wins, whole. */
export async function writeAtomically(path: string, text: string): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${Math.random().toString(36).slice(2)}`);
  try {
    const file = await open(temporary, 'w', 0o644);
    await thenClose(file, () => file.writeFile(text).then(() => file.sync()));
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw diskError(error, dirname(path));
  }
}

/** A rename is durable once its folder is. Some file systems cannot sync a folder; they keep renames anyway. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await thenClose(folder, () =>
    folder.sync().catch((error: unknown) => {
      if (!['EINVAL', 'ENOTSUP', 'EISDIR'].includes(errnoOf(error) ?? '')) throw error;
    }),
  );
}

/** DISK_FULL for a disk or quota that is full, the error itself otherwise. */
export function diskError(error: unknown, path: string): unknown {
  return ['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '')
    ? new AppError('DISK_FULL', { path }, { cause: error })
    : error;
}

/** Node's name of a system error, e.g. ENOENT. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

async function thenClose(file: FileHandle, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    await file.close();
  }
}
