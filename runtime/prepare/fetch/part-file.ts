/**
 * The writing end of a download: a file that grows, and can be forced to disk.
 *
 * Owns: the port and its real form. Tests put a disk behind it that is full.
 */
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { diskError } from '../cache/durable-file.ts';

export interface PartFile {
  /** Appends. @throws DISK_FULL */
  write(bytes: Uint8Array): Promise<void>;
  /** Everything written so far survives a crash of the machine. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a file for appending behind its first `keepBytes`, cutting off what is behind them; makes it and its folders if
 * need be.
 */
export type OpenPart = (path: string, keepBytes: number) => Promise<PartFile>;

export const openPart: OpenPart = async (path, keepBytes) => {
  await mkdir(dirname(path), { recursive: true });
  // Not 'a': a link in the file's place must not be followed, and the kernel would ignore positions.
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
