/**
 * Writes files that survive a crash: write under a temporary name, sync to disk, then rename.
 *
 * Owns: the order of these steps, and the detection of a full disk.
 */
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError } from '../../../api/errors.ts';

/**
 * Readers see the old or the new content, never a mixture. If two writers write at once, the result is the content that
 * one of them wrote.
 */
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

/**
 * Syncs a folder, which makes a rename in it durable. The error of a file system that cannot sync folders is ignored:
 * on such a file system, renames are durable without a sync.
 */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await thenClose(folder, () =>
    folder.sync().catch((error: unknown) => {
      if (!['EINVAL', 'ENOTSUP', 'EISDIR'].includes(errnoOf(error) ?? '')) throw error;
    }),
  );
}

/** Returns the error DISK_FULL if the disk is full or the quota is used up, otherwise `error` itself. */
export function diskError(error: unknown, path: string): unknown {
  return ['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '')
    ? new AppError('DISK_FULL', { path }, { cause: error })
    : error;
}

/** Node's code of a system error, e.g. ENOENT. */
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
