/**
 * Fetches a file or folder from a version of an npm package.
 *
 * Owns:   fetching the archive, checking its integrity before it is parsed, and unpacking the requested files.
 * Limits: an archive unpacks to at most 200 times its size plus 64 MiB, and to the source's limit. Entries must stay in
 *         the package, and requested files must not be links.
 */
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import ssri from 'ssri';
import { AppError, messageOf } from '../../../api/errors.ts';
import { digestOf, newDigest } from '../cache/digest.ts';
import { downloadFile, type FetchDeps } from './download.ts';
import { findPackage, type NpmPackage, type NpmDeps, type NpmUri } from './npm-registry.ts';
import type { SourceFile } from '../prepared.ts';
import { readTar, TarError, type TarEntry } from './tar.ts';
import { isInnerPath } from './uri.ts';

const maxInflation = 200;
/**
 * Bytes that an archive may unpack to in addition to `maxInflation` times its own size, because small archives of text
 * compress better.
 */
const freeInflationBytes = 64 * 2 ** 20;
const archiveName = '.package.tgz';

/** @returns the files in the staging folder; the path of a single file is its base name */
export async function fetchNpm(uri: NpmUri, deps: NpmDeps): Promise<SourceFile[]> {
  const found = await findPackage(uri, deps);
  const archiveBytes = await fetchArchive(found, deps);
  const files = await unpack(deps.staging.pathOf(archiveName), { uri, show: found.uri, archiveBytes }, deps);
  await deps.staging.forget(archiveName);
  return files;
}

async function fetchArchive(found: NpmPackage, deps: FetchDeps): Promise<number> {
  let missing: unknown;
  for (const source of found.archives) {
    try {
      const { bytes } = await downloadFile(
        source,
        { path: '', as: archiveName, roomBytes: deps.limits.sourceBytes },
        deps,
      );
      await checkIntegrity(deps.staging.pathOf(archiveName), found, deps);
      return bytes;
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'SOURCE_MISSING') throw error;
      missing ??= error;
    }
  }
  throw missing;
}

/**
 * Verifies the archive with the strongest algorithm for which the registry gives a hash. If the registry gives several
 * hashes of that algorithm, one of them must match.
 */
async function checkIntegrity(path: string, found: NpmPackage, deps: FetchDeps): Promise<void> {
  const { integrity } = found;
  const archive = createReadStream(path, { highWaterMark: 1 << 20, signal: deps.signal });
  const got = await ssri.fromStream(archive, { algorithms: [integrity.pickAlgorithm()] });
  if (integrity.match(got) !== false) return;
  await deps.staging.forget(archiveName);
  throw new AppError('DIGEST_MISMATCH', {
    what: `the archive of ${found.uri}`,
    want: integrity.toString(),
    got: got.toString(),
  });
}

type Unpacking = { readonly uri: NpmUri; readonly show: string; readonly archiveBytes: number };

async function unpack(archive: string, job: Unpacking, deps: FetchDeps): Promise<SourceFile[]> {
  const gunzip = createGunzip();
  // The code that reads `gunzip` gets the errors; the empty handler only prevents an unhandled rejection.
  pipeline(createReadStream(archive), gunzip, { signal: deps.signal }).catch(() => {});
  try {
    return await storeWanted(gunzip, job, deps);
  } catch (error) {
    deps.signal.throwIfAborted();
    if (!(error instanceof TarError) && !isZlibError(error)) throw error;
    throw new AppError(
      'SOURCE_INVALID',
      { uri: job.show, problem: `the archive cannot be read: ${messageOf(error)}` },
      { cause: error },
    );
  } finally {
    gunzip.destroy();
  }
}

async function storeWanted(unzipped: AsyncIterable<unknown>, job: Unpacking, deps: FetchDeps): Promise<SourceFile[]> {
  const invalid = (problem: string): AppError => new AppError('SOURCE_INVALID', { uri: job.show, problem });
  const capBytes = Math.min(deps.limits.sourceBytes, job.archiveBytes * maxInflation + freeInflationBytes);
  const files = new Map<string, SourceFile>();
  for await (const entry of readTar(
    bounded(unzipped, capBytes, () => invalid(`the archive unpacks to more than ${capBytes} bytes`)),
  )) {
    const inner = innerPath(entry, job.uri, invalid);
    if (inner === undefined) continue;
    if (files.size >= deps.limits.files) throw invalid(`the package has more than ${deps.limits.files} files`);
    if (files.has(inner)) throw invalid(`the archive contains '${inner}' twice`);
    files.set(inner, await store(entry, inner, deps));
  }
  if (files.size > 0) return [...files.values()];
  throw new AppError('SOURCE_MISSING', {
    uri: `${job.show}/${job.uri.path}`,
    why: `the package does not have this ${job.uri.folder ? 'folder' : 'file'}`,
  });
}

/** @returns the entry's path below the requested path; undefined for an entry that was not requested */
function innerPath(entry: TarEntry, uri: NpmUri, invalid: (problem: string) => AppError): string | undefined {
  if (entry.kind === 'folder' || entry.kind === 'other') return undefined;
  const path = entry.path.replace(/^\.\//, '');
  if (!isInnerPath(path))
    throw invalid(
      `the archive contains the entry ${JSON.stringify(entry.path.slice(0, 200))}, which is outside the package`,
    );
  // The first folder is usually called "package", but npm accepts any name.
  const inPackage = path.slice(path.indexOf('/') + 1);
  const wanted = uri.folder ? uri.path === '' || inPackage.startsWith(`${uri.path}/`) : inPackage === uri.path;
  if (!wanted) return undefined;
  if (entry.kind === 'link') throw invalid(`'${inPackage}' is a link in the archive, not a file`);
  if (!uri.folder) return inPackage.slice(inPackage.lastIndexOf('/') + 1);
  return uri.path === '' ? inPackage : inPackage.slice(uri.path.length + 1);
}

async function store(entry: TarEntry, path: string, deps: FetchDeps): Promise<SourceFile> {
  const target = deps.staging.pathOf(path);
  await rm(target, { force: true });
  const file = await deps.openPart(target, 0);
  const hash = newDigest();
  let bytes = 0;
  try {
    for await (const piece of entry.bytes) {
      await file.write(piece);
      hash.update(piece);
      bytes += piece.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { path, bytes, digest: digestOf(hash) };
}

async function* bounded(
  pieces: AsyncIterable<unknown>,
  capBytes: number,
  refuse: () => AppError,
): AsyncGenerator<Uint8Array, void, void> {
  let total = 0;
  for await (const piece of pieces) {
    total += (piece as Uint8Array).length;
    if (total > capBytes) throw refuse();
    yield piece as Uint8Array;
  }
}

function isZlibError(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    /^(Z_|ERR_ZLIB|ERR_STREAM_PREMATURE)/.test(error.code)
  );
}
