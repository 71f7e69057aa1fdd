/**
 * What names a model: the digest of its bytes.
 *
 * Owns:  the digest of a file and of a folder, and comparing what was wanted with what came.
 *        A folder's is SHA-256 over its lines `sha256  path`, sorted, each ended by a newline, so that anybody
 *        can make it: `find -L . -type f -printf '%P\0' | xargs -0 sha256sum | LC_ALL=C sort | sha256sum`.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { AppError } from '../../../api/errors.ts';
import type { SourceFile } from '../prepared.ts';

/** A hash to feed; `digestOf` closes it. */
export function newDigest(): Hash {
  return createHash('sha256');
}

/** @returns `sha256:<64 hex>` */
export function digestOf(hash: Hash): string {
  return `sha256:${hash.digest('hex')}`;
}

/** The 64 hex digits alone, for file names. */
export function hexOf(digest: string): string {
  return digest.replace(/^sha256:/, '');
}

/** Reads the file's first `bytes` (all of it when absent) into the hash; `onBytes` is told of each piece. */
export async function hashFile(
  hash: Hash,
  path: string,
  options: { bytes?: number; onBytes?: (count: number) => void; signal?: AbortSignal } = {},
): Promise<void> {
  if (options.bytes === 0) return;
  const end = options.bytes === undefined ? {} : { end: options.bytes - 1 };
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20, ...end, ...signal })) {
    const bytes = piece as Buffer;
    hash.update(bytes);
    options.onBytes?.(bytes.length);
  }
}

/** The digest of a folder that holds these files and no others. */
export function folderDigest(files: readonly Pick<SourceFile, 'path' | 'digest'>[]): string {
  const lines = files.map(({ path, digest }) => `${hexOf(digest)}  ${path}\n`);
  // Bytes, not UTF-16 units, decide the order, as for LC_ALL=C sort.
  lines.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return digestOf(newDigest().update(lines.join('')));
}

/** @throws DIGEST_MISMATCH when a digest was wanted and this is another */
export function checkDigest(what: string, want: string | undefined, got: string): void {
  if (want !== undefined && want !== got) throw new AppError('DIGEST_MISMATCH', { what, want, got });
}
