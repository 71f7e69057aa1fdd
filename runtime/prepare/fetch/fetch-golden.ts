/**
 * Fetches a revision's golden set from its URI, as a model is fetched, and leaves word of it for the sidecar.
 *
 * Owns:   that the set is one file of the digest that the spec gives. What is in it, the sidecar reads.
 * Limits: the size of a set (runtime/golden/set.ts).
 * Throws: AppErrors of the artifact group in api/error-codes.ts.
 */
import { join } from 'node:path';
import { AppError } from '../../../api/errors.ts';
import type { GoldenConfig } from '../../../api/runtime-config.ts';
import { fetchedName, type FetchedGolden } from '../cache/golden-file.ts';
import { setLimits } from '../../golden/set.ts';
import { acquire, type AcquireOptions } from '../acquire.ts';
import { writeAtomically } from '../cache/durable-file.ts';

/** @returns the folder that the set lies in; undefined when it has no URI */
export async function fetchGolden(
  golden: GoldenConfig | undefined,
  cacheDir: string,
  options: AcquireOptions,
): Promise<string | undefined> {
  if (golden?.source.kind !== 'Uri') return undefined;
  const { uri, digest } = golden.source;
  const limits = { ...options.fetch.limits, sourceBytes: Math.min(options.fetch.limits.sourceBytes, setLimits.bytes) };
  // What the first pod found is the model's digest, not this one's.
  const {
    root,
    files: [file],
    folder,
    uri: show,
  } = await acquire(
    { uri, digest, variants: [] },
    { ...options, resolvedDigest: undefined, fetch: { ...options.fetch, limits } },
  );
  if (folder || file === undefined)
    throw new AppError('SOURCE_INVALID', {
      uri: show,
      problem: 'a golden set is one file: leave out the "/" at its end',
    });
  const word: FetchedGolden = { schema: 1, digest, path: join(root, file.path) };
  await writeAtomically(join(cacheDir, fetchedName), `${JSON.stringify(word)}\n`);
  options.fetch.logger.info('golden set fetched', { uri: show, digest, bytes: file.bytes });
  return root;
}
