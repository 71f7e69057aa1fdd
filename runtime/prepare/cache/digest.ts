/**
 * Computes the digests that identify a model.
 *
 * Owns:  the digest of a file and of a folder, and the comparison with the expected digest. A folder's digest is the
 *        SHA-256 of a sorted list with one line for each file: 64 hex digits, two blanks, the path, a newline. To
 *        compute it by hand: `find -L . -type f -printf '%P\0' | xargs -0 sha256sum | LC_ALL=C sort | sha256sum`.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { AppError } from '../../../api/errors.ts';
import type { SourceFile } from '../prepared.ts';

/** A new hash; pass it to `digestOf` after all bytes were added. */
export function newDigest(): Hash {
  return createHash('sha256');
}

/** @returns `sha256:<64 hex>` */
export function digestOf(hash: Hash): string {
  return `sha256:${hash.digest('hex')}`;
}

/** The digest's 64 hex digits without the prefix, for file names. */
export function hexOf(digest: string): string {
  return digest.replace(/^sha256:/, '');
}

/**
 * Adds the first `bytes` bytes of the file to the hash, or the whole file when `bytes` is absent. Calls `onBytes` for
 * each piece.
 */
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

/** The digest of a folder that contains exactly these files. */
export function folderDigest(files: readonly Pick<SourceFile, 'path' | 'digest'>[]): string {
  const lines = files.map(({ path, digest }) => `${hexOf(digest)}  ${path}\n`);
  // Sort by bytes, not UTF-16 units, as LC_ALL=C sort does.
  lines.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return digestOf(newDigest().update(lines.join('')));
}

/** @throws DIGEST_MISMATCH when `want` is given and differs from `got` */
export function checkDigest(what: string, want: string | undefined, got: string): void {
  if (want !== undefined && want !== got) throw new AppError('DIGEST_MISMATCH', { what, want, got });
}
