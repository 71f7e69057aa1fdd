/**
 * A small file in the cache folder with the path of the golden set. `prepare` writes it, the sidecar reads it.
 *
 * Owns:  this file. It contains the set's digest, because revisions that share a cache folder may have different sets.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, messageOf } from '../../../api/errors.ts';

export type FetchedGolden = {
  readonly schema: 1;
  /** `sha256:<64 hex>` of the set's file. */ readonly digest: string;
  /** Absolute path. */ readonly path: string;
};

/** The file's name in the cache folder. */
export const fetchedName = 'golden.json';

/** @throws AppError FILE_UNREADABLE when `prepare` has not fetched the set with that digest */
export async function goldenPathIn(cacheDir: string, digest: string): Promise<string> {
  const file = join(cacheDir, fetchedName);
  try {
    const { schema, digest: of, path } = JSON.parse(await readFile(file, 'utf8')) as Partial<FetchedGolden>;
    if (schema === 1 && of === digest && typeof path === 'string') return path;
  } catch (error) {
    throw new AppError('FILE_UNREADABLE', { path: file, why: messageOf(error) }, { cause: error });
  }
  throw new AppError('FILE_UNREADABLE', {
    path: file,
    why: `it does not describe the golden set ${digest}: run prepare first`,
  });
}
