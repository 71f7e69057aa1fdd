/**
 * The file that a download writes to: it grows and can be synced to disk.
 *
 * Owns: the port and its implementation. Tests replace the implementation to simulate a full disk.
 */
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { diskError } from '../cache/durable-file.ts';

export interface PartFile {
  /**
   * Appends the bytes.
   * @throws DISK_FULL
   */
  write(bytes: Uint8Array): Promise<void>;
  /** Syncs the file to disk: everything written so far then survives a crash of the machine. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a file, keeps its first `keepBytes` bytes and discards the rest; writes are appended. Creates the file and its
 * folders if needed.
 */
export type OpenPart = (path: string, keepBytes: number) => Promise<PartFile>;

export const openPart: OpenPart = async (path, keepBytes) => {
  await mkdir(dirname(path), { recursive: true });
  // Do not open the file with 'a': the kernel would then ignore the positions of writes.
  const file = await open(path, 'r+').catch(() => open(path, 'w+', 0o644));
  await file.truncate(keepBytes);
  let at = keepBytes;
  return {
    async write(bytes) {
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at).catch((error: unknown) => {
          throw diskError(error, dirname(path));
        });
        done += bytesWritten;
        at += bytesWritten;
      }
    },
    async sync() {
      await file.sync().catch((error: unknown) => {
        throw diskError(error, dirname(path));
      });
    },
    close: () => file.close(),
  };
};
