/**
 * Fetches a revision's golden set from its URI, like a model, and records its path for the sidecar.
 *
 * Owns:   the check that the set is one file with the digest in the spec. The sidecar parses the set.
 * Limits: the size of a set (runtime/golden/set.ts).
 * Throws: AppErrors of the artifact group in api/error-codes.ts.
 */
import { join } from 'node:path';
import { AppError } from '../../../api/errors.ts';
import type { GoldenConfig } from '../../../api/runtime-config.ts';
import { fetchedName, type FetchedGolden } from '../cache/golden-file.ts';
import { setLimits } from '../../golden/set.ts';
import { acquire, type AcquireDeps } from '../acquire.ts';
import { writeAtomically } from '../cache/durable-file.ts';

/** @returns the folder that contains the set; undefined when the set has no URI */
export async function fetchGolden(
  golden: GoldenConfig | undefined,
  cacheDir: string,
  deps: AcquireDeps,
): Promise<string | undefined> {
  if (golden?.source.kind !== 'Uri') return undefined;
  const { uri, digest } = golden.source;
  const limits = { ...deps.fetch.limits, sourceBytes: Math.min(deps.fetch.limits.sourceBytes, setLimits.bytes) };
  // `resolved` holds the model's digest, which does not apply to the golden set.
  const {
    root,
    files: [file],
    folder,
    uri: show,
  } = await acquire(
    { uri, digest, variants: [] },
    { ...deps, resolvedDigest: undefined, fetch: { ...deps.fetch, limits } },
  );
  if (folder || file === undefined)
    throw new AppError('SOURCE_INVALID', {
      uri: show,
      problem: 'a golden set is one file: remove the "/" at the end of its URI',
    });
  const word: FetchedGolden = { schema: 1, digest, path: join(root, file.path) };
  await writeAtomically(join(cacheDir, fetchedName), `${JSON.stringify(word)}\n`);
  deps.fetch.logger.info('golden set fetched', { uri: show, digest, bytes: file.bytes });
  return root;
}
