/**
 * From a model's URI to its files on this machine, checked.
 *
 * Owns:  which scheme is fetched how, what may be taken from the cache, and that nothing goes on whose digest is not
 *        the one that was asked for or that the revision's first pod found.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import { AppError } from '../../api/errors.ts';
import type { SourceConfig } from '../../api/runtime-config.ts';
import type { Cache } from './cache.ts';
import { checkDigest, folderDigest } from './digest.ts';
import { readDiskSource, type DiskPlace } from './disk-source.ts';
import { downloadFile, type FetchContext } from './download.ts';
import { HttpClient, type HttpOptions } from './http-client.ts';
import { HttpSource } from './http-source.ts';
import { fetchNpm } from './npm-package.ts';
import { readNpmSettings, type NpmMachine } from './npm-settings.ts';
import type { SourceFile } from './prepared.ts';
import { isInnerPath, parseSourceUri, showUri, type SourceUri } from './uri.ts';

export type Acquired = {
  /** The URI without secrets. */
  readonly uri: string;
  /** Whether the source is a folder; else `files` has one. */
  readonly folder: boolean;
  /** Where `files` lie. */
  readonly root: string;
  /** What links in it must not lead out of. */
  readonly boundary: string;
  readonly files: readonly SourceFile[];
  /** Of the file, or of the folder. */
  readonly digest: string;
  readonly bytes: number;
};

export type AcquireOptions = {
  readonly cache: Cache;
  /** Where the claim of a pvc:// URI is mounted. */
  readonly sourceDir: string | undefined;
  readonly allowFile: boolean;
  /** What the revision's first pod found; anything else is refused. */
  readonly resolvedDigest: string | undefined;
  readonly npm: NpmMachine;
  readonly http: HttpOptions;
  readonly fetch: Omit<FetchContext, 'staging'>;
};

/** @throws AppError of the artifact group in api/error-codes.ts */
export async function acquire(source: SourceConfig, options: AcquireOptions): Promise<Acquired> {
  const show = showUri(source.uri);
  const uri = parseSourceUri(source.uri, { allowFile: options.allowFile, pinned: source.digest !== undefined });
  checkFiles(source, uri, show);
  const found = await find(source, uri, options);
  const digest = digestOfAll(uri, found.files);
  checkDigest(show, source.digest, digest);
  // Second, so that a wrong spec is called that even where both differ.
  checkDigest(`${show} (this revision's first pod got other bytes)`, options.resolvedDigest, digest);
  const root = 'staging' in found ? await options.cache.commit(found.staging, digest, found.files) : found.root;
  const boundary = 'boundary' in found ? found.boundary : root;
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

type Found = { readonly files: readonly SourceFile[] } & (
  | { readonly root: string }
  | { readonly root: string; readonly boundary: string }
  | { readonly staging: FetchContext['staging'] }
);

async function find(source: SourceConfig, uri: SourceUri, options: AcquireOptions): Promise<Found> {
  if (uri.scheme === 'pvc' || uri.scheme === 'file') {
    const place = diskPlace(uri, showUri(source.uri), options.sourceDir);
    return { ...(await readDiskSource(place, source.files, options.fetch)), boundary: place.boundary };
  }
  const known = source.digest ?? options.resolvedDigest;
  const cached = known === undefined ? undefined : await options.cache.model(known);
  if (cached !== undefined) {
    options.fetch.logger.info('model found in the cache', { uri: showUri(source.uri), digest: known });
    return cached;
  }
  const staging = await options.cache.staging(stagingKey(source));
  options.fetch.logger.info('fetching model', { uri: showUri(source.uri) });
  try {
    return { staging, files: await fetchInto(source, uri, { ...options, fetch: { ...options.fetch, staging } }) };
  } catch (error) {
    // What is wrong for good is not worth keeping; what was interrupted is.
    if (error instanceof AppError && error.kind === 'invalid') await staging.remove();
    throw error;
  }
}

type Fetching = AcquireOptions & { readonly fetch: FetchContext };

async function fetchInto(
  source: SourceConfig,
  uri: Extract<SourceUri, { scheme: 'https' | 'npm' }>,
  options: Fetching,
): Promise<SourceFile[]> {
  const settings = uri.scheme === 'npm' ? await readNpmSettings(options.npm) : undefined;
  const ca =
    settings === undefined || settings.ca.length === 0 ? {} : { ca: [...getCACertificates('default'), ...settings.ca] };
  const client = new HttpClient({ ...options.http, ...ca });
  try {
    if (uri.scheme === 'https') return await fetchHttps(source, uri, { client, context: options.fetch });
    const files = await fetchNpm(
      uri,
      { client, settings: settings ?? (await readNpmSettings(options.npm)) },
      options.fetch,
    );
    return source.files === undefined
      ? files
      : await keepWanted(files, source.files, { show: showUri(source.uri), staging: options.fetch.staging });
  } finally {
    await client.close();
  }
}

type KeepTools = { readonly show: string; readonly staging: FetchContext['staging'] };

/** Of a package's folder only the files that the spec names, each with the digest it gives. */
async function keepWanted(
  files: readonly SourceFile[],
  wanted: NonNullable<SourceConfig['files']>,
  { show, staging }: KeepTools,
): Promise<SourceFile[]> {
  const kept = wanted.map(({ path, digest }) => {
    const file = files.find((one) => one.path === path);
    if (file === undefined)
      throw new AppError('SOURCE_MISSING', { uri: `${show}${path}`, why: 'the package does not hold it' });
    checkDigest(`${show}${path}`, digest, file.digest);
    return file;
  });
  for (const file of files) if (!kept.includes(file)) await staging.forget(file.path);
  return kept;
}

async function fetchHttps(
  source: SourceConfig,
  uri: Extract<SourceUri, { scheme: 'https' }>,
  tools: { client: HttpClient; context: FetchContext },
): Promise<SourceFile[]> {
  const from = new HttpSource(tools.client, uri.url);
  const wanted = uri.folder
    ? (source.files ?? []).map(({ path, digest }) => ({ path, as: path, digest }))
    : [{ path: '', as: fileName(uri.url), ...(source.digest === undefined ? {} : { digest: source.digest }) }];
  const files: SourceFile[] = [];
  let roomBytes = tools.context.limits.sourceBytes;
  for (const one of wanted) {
    const file = await downloadFile(from, { ...one, roomBytes }, tools.context);
    roomBytes -= file.bytes;
    files.push(file);
  }
  return files;
}

/** The last part of the path where that is a plain name; what a server calls a file must not choose where it lies. */
function fileName(url: URL): string {
  const last = url.pathname.slice(url.pathname.lastIndexOf('/') + 1);
  return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/.test(last) ? last : 'model.onnx';
}

function diskPlace(
  uri: Extract<SourceUri, { scheme: 'pvc' | 'file' }>,
  show: string,
  sourceDir: string | undefined,
): DiskPlace {
  if (uri.scheme === 'file') return { uri: show, path: uri.path, folder: uri.folder, boundary: '/' };
  if (sourceDir === undefined)
    throw new AppError('SOURCE_INVALID', { uri: show, problem: `the claim '${uri.claim}' is not mounted here` });
  return { uri: show, path: join(sourceDir, uri.path), folder: uri.folder, boundary: sourceDir };
}

function checkFiles(source: SourceConfig, uri: SourceUri, show: string): void {
  const bad = source.files?.find(({ path }) => !isInnerPath(path));
  if (bad !== undefined)
    throw new AppError('SOURCE_INVALID', {
      uri: show,
      problem: `the path ${JSON.stringify(bad.path)} in spec.model.files leads out of it`,
    });
  if (!uri.folder && source.files !== undefined)
    throw new AppError('SOURCE_INVALID', {
      uri: show,
      problem: 'spec.model.files are paths in a folder: end the URI with "/"',
    });
  if (uri.scheme === 'https' && uri.folder && source.files === undefined) {
    throw new AppError('SOURCE_INVALID', {
      uri: show,
      problem: 'a folder on a web server cannot be listed: name its files in spec.model.files',
    });
  }
}

/** What is put together under one key has to be the same thing: place and all that picks files from it. */
function stagingKey(source: SourceConfig): string {
  return createHash('sha256')
    .update(JSON.stringify([source.uri, source.digest ?? '', source.files ?? []]))
    .digest('hex')
    .slice(0, 32);
}
