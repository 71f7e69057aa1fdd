/**
 * Turns a model's URI into verified files on this machine.
 *
 * Owns:  the use of the cache, and the check of digests: the files must have the digest in the spec and the digest that
 *        the revision's first pod found. The files in sources/ do the fetching, one file for each scheme.
 */
import { createHash } from 'node:crypto';
import { AppError } from '../../api/errors.ts';
import type { SourceConfig } from '../../api/runtime-config.ts';
import { sourceRowOf } from '../../api/sources.ts';
import type { ModelCache } from './cache/cache.ts';
import { checkDigest, folderDigest } from './cache/digest.ts';
import type { FetchDeps } from './fetch/download.ts';
import type { HttpOptions } from './fetch/http-client.ts';
import type { NpmMachine } from './fetch/npm-settings.ts';
import type { SourceFile } from './prepared.ts';
import { parseSourceUri, schemeFor, type SourceUri } from './sources/index.ts';
import type { OpenedSource, OpenDeps } from './sources/scheme.ts';
import { isInnerPath, showUri } from './fetch/uri.ts';

export type Acquired = {
  /** The URI without secrets. */
  readonly uri: string;
  /** True for a folder; for a single file, `files` has one entry. */
  readonly folder: boolean;
  /** The folder that contains `files`. */
  readonly root: string;
  /** Links must not lead out of this folder. */
  readonly boundary: string;
  readonly files: readonly SourceFile[];
  /** Digest of the file, or of the folder. */
  readonly digest: string;
  readonly bytes: number;
};

export type AcquireDeps = {
  readonly cache: ModelCache;
  /** Mount path of the volume claim of a pvc:// URI. */
  readonly sourceDir: string | undefined;
  readonly allowFile: boolean;
  /** The digest that the revision's first pod found; any other digest is refused. */
  readonly resolvedDigest: string | undefined;
  readonly npm: NpmMachine;
  readonly http: HttpOptions;
  readonly fetch: Omit<FetchDeps, 'staging'>;
};

/** @throws AppError of the artifact group in api/error-codes.ts */
export async function acquire(source: SourceConfig, deps: AcquireDeps): Promise<Acquired> {
  const show = showUri(source.uri);
  const uri = parseSourceUri(source.uri, { allowFile: deps.allowFile, pinned: source.digest !== undefined });
  checkFiles(source, uri, show);
  const throughCache = (fetch: Fetch): Promise<OpenedSource> => cachedOrFetched(source, fetch, deps);
  const found = await schemeFor(uri).open(uri, source, { ...deps, throughCache });
  const digest = digestOfAll(uri, found.files);
  checkDigest(show, source.digest, digest);
  // Check the digest in the spec first: when the files match neither that digest nor the first pod's, the error must
  // name the digest in the spec.
  checkDigest(`${show} (this revision's first pod got other bytes)`, deps.resolvedDigest, digest);
  const root = 'staging' in found ? await deps.cache.commit(found.staging, digest, found.files) : found.root;
  const boundary = 'staging' in found ? root : (found.boundary ?? root);
  return {
    uri: show,
    folder: uri.folder,
    root,
    boundary,
    files: found.files,
    digest,
    bytes: found.files.reduce((sum, file) => sum + file.bytes, 0),
  };
}

function digestOfAll(uri: SourceUri, files: readonly SourceFile[]): string {
  const [first] = files;
  return uri.folder || first === undefined ? folderDigest(files) : first.digest;
}

type Fetch = Parameters<OpenDeps['throughCache']>[0];

async function cachedOrFetched(source: SourceConfig, fetch: Fetch, deps: AcquireDeps): Promise<OpenedSource> {
  const known = source.digest ?? deps.resolvedDigest;
  const cached = known === undefined ? undefined : await deps.cache.model(known);
  if (cached !== undefined) {
    deps.fetch.logger.info('model found in the cache', { uri: showUri(source.uri), digest: known });
    return cached;
  }
  const staging = await deps.cache.staging(stagingKey(source));
  deps.fetch.logger.info('fetching model', { uri: showUri(source.uri) });
  try {
    return { staging, files: await fetch({ ...deps.fetch, staging }) };
  } catch (error) {
    // Discard invalid downloads. Keep interrupted downloads, so that they can be resumed.
    if (error instanceof AppError && error.kind === 'invalid') await staging.remove();
    throw error;
  }
}

function checkFiles(source: SourceConfig, uri: SourceUri, show: string): void {
  const bad = source.files?.find(({ path }) => !isInnerPath(path));
  if (bad !== undefined)
    throw new AppError('SOURCE_INVALID', {
      uri: show,
      problem: `the path ${JSON.stringify(bad.path)} in spec.model.files leads out of the source`,
    });
  if (!uri.folder && source.files !== undefined)
    throw new AppError('SOURCE_INVALID', {
      uri: show,
      problem: 'spec.model.files lists paths in a folder: end the URI with "/"',
    });
  if (!sourceRowOf(uri.scheme).listsFolders && uri.folder && source.files === undefined) {
    throw new AppError('SOURCE_INVALID', {
      uri: show,
      problem: `a folder over ${uri.scheme} cannot be listed: name its files in spec.model.files`,
    });
  }
}

/** The key of a staging folder: everything that determines which files it will contain. */
function stagingKey(source: SourceConfig): string {
  return createHash('sha256')
    .update(JSON.stringify([source.uri, source.digest ?? '', source.files ?? []]))
    .digest('hex')
    .slice(0, 32);
}
