/**
 * Reads a model from a disk of this machine: a mounted volume claim, or in local mode any folder.
 *
 * Owns:   finding the files and computing their digests, without copying. Every prepare hashes the files again, because
 *         the volume may have been changed.
 * Limits: 10,000 files and folders by default, 32 folders deep. Links are followed within the volume.
 * Throws: SOURCE_MISSING, SOURCE_INVALID, SOURCE_TOO_LARGE, DIGEST_MISMATCH.
 */
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError, messageOf } from '../../../api/errors.ts';
import { checkDigest, digestOf, hashFile, newDigest } from '../cache/digest.ts';
import { errnoOf } from '../cache/durable-file.ts';
import { isInside, leftovers, nearby } from '../../../lib/nearby.ts';
import type { SourceFile } from '../prepared.ts';
import type { Progress } from '../progress.ts';
import type { SourceLimits } from './source.ts';

export type DiskPlace = {
  /** The URI, for messages. */
  readonly uri: string;
  readonly path: string;
  readonly folder: boolean;
  /** Links must not lead out of this folder: the folder of the volume claim, or `/` for no restriction. */
  readonly boundary: string;
};

export type Found = { readonly root: string; readonly files: readonly SourceFile[] };

type Wanted = readonly { readonly path: string; readonly digest: string }[];
type DiskDeps = { readonly limits: SourceLimits; readonly progress: Progress; readonly signal: AbortSignal };

const maxDepth = 32;

/**
 * Finds and hashes the files.
 * @param wanted the files to read, with their digests; undefined: all files
 * @throws DIGEST_MISMATCH when a wanted file has another digest
 */
export async function readDiskSource(place: DiskPlace, wanted: Wanted | undefined, deps: DiskDeps): Promise<Found> {
  await checkKind(place);
  const root = place.folder ? place.path : dirname(place.path);
  const sized = await measure(place, root, await pathsOf(place, wanted, deps.limits));
  const total = sized.reduce((sum, file) => sum + file.bytes, 0);
  if (total > deps.limits.sourceBytes)
    throw new AppError('SOURCE_TOO_LARGE', { uri: place.uri, limitBytes: deps.limits.sourceBytes });
  for (const { path, bytes } of sized) deps.progress.expect(path, bytes);
  const files: SourceFile[] = [];
  for (const { path } of sized) {
    const file = await hashOne(place, join(root, path), { path, deps });
    checkDigest(nameOf(place, path), wanted?.find((one) => one.path === path)?.digest, file.digest);
    files.push(file);
  }
  return { root, files };
}

async function checkKind(place: DiskPlace): Promise<void> {
  const found = await stat(place.path).catch((error: unknown) => {
    throw missing(place, '', error, nearby(place.path, place.boundary));
  });
  if (place.folder === found.isDirectory()) return;
  throw new AppError('SOURCE_INVALID', {
    uri: place.uri,
    problem: place.folder ? 'the URI ends with "/" but names a file' : 'it is a folder: end the URI with "/"',
  });
}

async function pathsOf(place: DiskPlace, wanted: Wanted | undefined, limits: SourceLimits): Promise<string[]> {
  if (!place.folder) return [basename(place.path)];
  return wanted === undefined ? await listFiles(place, limits) : wanted.map(({ path }) => path);
}

function nameOf(place: DiskPlace, path: string): string {
  return place.folder ? `${place.uri}${path}` : place.uri;
}

async function hashOne(
  place: DiskPlace,
  real: string,
  { path, deps }: { path: string; deps: DiskDeps },
): Promise<SourceFile> {
  const hash = newDigest();
  let bytes = 0;
  const onBytes = (count: number): void => {
    bytes += count;
    deps.progress.add(count);
  };
  await hashFile(hash, real, { onBytes, signal: deps.signal }).catch((error: unknown) => {
    deps.signal.throwIfAborted();
    throw missing(place, path, error);
  });
  return { path, bytes, digest: digestOf(hash) };
}

async function measure(
  place: DiskPlace,
  root: string,
  paths: readonly string[],
): Promise<{ path: string; bytes: number }[]> {
  const boundary = await realpath(place.boundary);
  const sized: { path: string; bytes: number }[] = [];
  for (const path of paths) {
    const real = await realpath(join(root, path)).catch((error: unknown) => {
      throw missing(place, path, error, nearby(join(root, path), place.boundary));
    });
    if (!isInside(boundary, real))
      throw new AppError('SOURCE_INVALID', {
        uri: place.uri,
        problem: `'${path}' is a symbolic link to a place outside the volume`,
      });
    const found = await stat(real);
    if (!found.isFile()) throw new AppError('SOURCE_INVALID', { uri: place.uri, problem: `'${path}' is not a file` });
    sized.push({ path, bytes: found.size });
  }
  return sized.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function listFiles(place: DiskPlace, limits: SourceLimits): Promise<string[]> {
  const paths: string[] = [];
  // Folders that were not read yet. Links may form cycles, so folders count towards the limit.
  const waiting = [''];
  for (let seen = 0; waiting.length > 0; seen += 1) {
    const inner = waiting.pop() ?? '';
    if (seen + paths.length > limits.files)
      throw new AppError('SOURCE_INVALID', {
        uri: place.uri,
        problem: `it contains more than ${limits.files} files and folders`,
      });
    if (inner.split('/').length > maxDepth)
      throw new AppError('SOURCE_INVALID', {
        uri: place.uri,
        problem: `its folders are nested more than ${maxDepth} deep (does a symbolic link point to a parent folder?)`,
      });
    const { files, folders } = await readFolder(place, inner);
    paths.push(...files);
    waiting.push(...folders);
  }
  if (paths.length === 0) throw new AppError('SOURCE_MISSING', { uri: place.uri, why: 'the folder is empty' });
  return paths;
}

async function readFolder(place: DiskPlace, inner: string): Promise<{ files: string[]; folders: string[] }> {
  const files: string[] = [];
  const folders: string[] = [];
  for (const entry of await readdir(join(place.path, inner), { withFileTypes: true })) {
    // In a ConfigMap volume, the files are links into a folder whose name begins with "..". List each file once.
    if (leftovers.has(entry.name) || entry.name.startsWith('..')) continue;
    const path = inner === '' ? entry.name : `${inner}/${entry.name}`;
    const kind = entry.isSymbolicLink() ? await stat(join(place.path, path)).catch(() => undefined) : entry;
    if (kind?.isDirectory() === true) folders.push(path);
    if (kind?.isFile() === true) files.push(path);
  }
  return { files, folders };
}

function missing(place: DiskPlace, path: string, error: unknown, instead = ''): AppError {
  const uri = nameOf(place, path);
  const why = errnoOf(error) === 'ENOENT' ? `the file or folder does not exist${instead}` : messageOf(error);
  return new AppError('SOURCE_MISSING', { uri, why }, { cause: error });
}
