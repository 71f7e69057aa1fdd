/**
 * The golden set that `prepare` fetched, and how the sidecar finds it: a small file in the cache folder.
 *
 * Owns:  that file. It names the digest, so that a set of another revision in a shared folder is not taken for this
 *        one's.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, messageOf } from '../../../api/errors.ts';

export type FetchedGolden = {
  readonly schema: 1;
  /** `sha256:<64 hex>` of the file. */ readonly digest: string;
  /** Absolute. */ readonly path: string;
};

/** Its name in the cache folder. */
export const fetchedName = 'golden.json';

/** @throws AppError FILE_UNREADABLE when `prepare` has not fetched the set of that digest */
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
    why: `it is not of the golden set ${digest}: prepare has not run`,
  });
}
