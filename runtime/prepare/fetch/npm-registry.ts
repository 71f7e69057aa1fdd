/**
 * Finds the archive of a package version, and its integrity (the hashes of its bytes), in the configured npm registry.
 *
 * Limits: 64 MiB for the registry's answer, 4096 characters for an integrity. Credentials are only sent to URLs for
 *         which the settings have credentials.
 * Throws: SOURCE_MISSING, SOURCE_INVALID, SOURCE_UNAVAILABLE.
 */
import { readFile } from 'node:fs/promises';
import ssri, { type Integrity } from 'ssri';
import { AppError } from '../../../api/errors.ts';
import { downloadFile, type FetchDeps } from './download.ts';
import type { HttpClient } from './http-client.ts';
import { HttpSource } from './http-source.ts';
import type { NpmSettings } from './npm-settings.ts';
import type { Source } from './source.ts';

export type NpmUri = {
  readonly scheme: 'npm';
  readonly name: string;
  readonly version: string;
  readonly path: string;
  readonly folder: boolean;
};

export type NpmDeps = FetchDeps & { readonly client: HttpClient; readonly settings: NpmSettings };

export type NpmPackage = {
  /** `npm:name@version` */
  readonly uri: string;
  /** Sources of the archive, in the order in which they are tried. */
  readonly archives: readonly Source[];
  /** Subresource integrity of the archive: at least one SHA-512, SHA-384 or SHA-256 hash. */
  readonly integrity: Integrity;
};

const packumentLimitBytes = 64 * 2 ** 20;
const maxIntegrityLength = 4096;

export async function findPackage(uri: NpmUri, deps: NpmDeps): Promise<NpmPackage> {
  const show = `npm:${uri.name}@${uri.version}`;
  const registry = deps.settings.registryOf(uri.name);
  const url = new URL(uri.name.replace('/', '%2f'), registry);
  const source = sourceAt(url, deps, { accept: 'application/vnd.npm.install-v1+json, application/json;q=0.8' });
  const packument = await readPackument(source, show, deps);
  const dist = distOf(packument, uri.version);
  if (dist === undefined)
    throw new AppError('SOURCE_MISSING', {
      uri: show,
      why: `the registry has the package, but not this version${newest(packument)}`,
    });
  const { tarball, integrity } = dist;
  if (integrity === undefined)
    throw new AppError('SOURCE_INVALID', {
      uri: show,
      problem: 'the registry has no SHA-2 integrity for this version, so its archive cannot be verified',
    });
  if (tarball === undefined || !URL.canParse(tarball))
    throw new AppError('SOURCE_INVALID', { uri: show, problem: 'the registry has no valid URL of the archive' });
  return { uri: show, integrity, archives: archiveUrls(new URL(tarball), registry).map((at) => sourceAt(at, deps)) };
}

/**
 * The URLs to try, in this order. A mirror may return URLs of the original registry, which may be unreachable, so the
 * first URL uses the configured host.
 */
function archiveUrls(tarball: URL, registry: URL): URL[] {
  if (tarball.host === registry.host) return [tarball];
  const mirrored = new URL(registry);
  mirrored.pathname = registry.pathname.replace(/\/$/, '') + tarball.pathname;
  return [mirrored, tarball];
}

function sourceAt(url: URL, { client, settings }: NpmDeps, headers: Readonly<Record<string, string>> = {}): Source {
  const authorization = settings.authorizationFor(url);
  return new HttpSource(client, url, authorization === undefined ? headers : { ...headers, authorization });
}

/** Downloads the package's metadata to the staging folder, with the same retries as for files, and parses it. */
async function readPackument(source: Source, show: string, deps: FetchDeps): Promise<unknown> {
  const as = '.packument.json';
  await deps.staging.forget(as);
  await downloadFile(source, { path: '', as, roomBytes: packumentLimitBytes }, deps).catch((error: unknown) => {
    if (!(error instanceof AppError) || error.code !== 'SOURCE_MISSING') throw error;
    throw new AppError(
      'SOURCE_MISSING',
      { uri: show, why: `the registry does not have the package (${error.message})` },
      { cause: error },
    );
  });
  const text = await readFile(deps.staging.pathOf(as), 'utf8');
  await deps.staging.forget(as);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AppError('SOURCE_UNAVAILABLE', { uri: show, why: "the registry's answer is not JSON" }, { cause: error });
  }
}

type Dist = { readonly tarball: string | undefined; readonly integrity: Integrity | undefined };

function distOf(packument: unknown, version: string): Dist | undefined {
  const versions = memberOf(packument, 'versions');
  const entry = memberOf(versions, version);
  if (entry === undefined) return undefined;
  const dist = memberOf(entry, 'dist');
  return { tarball: textOf(memberOf(dist, 'tarball')), integrity: integrityOf(textOf(memberOf(dist, 'integrity'))) };
}

/** Keeps only complete SHA-256, SHA-384 and SHA-512 hashes. SHA-1 is not secure enough. */
function integrityOf(text = ''): Integrity | undefined {
  if (text.length > maxIntegrityLength) return undefined;
  // ssri returns null when no hash is left; its types omit this.
  return (ssri.parse(text, { strict: true }) as Integrity | null) ?? undefined;
}

function newest(packument: unknown): string {
  const latest = textOf(memberOf(memberOf(packument, 'dist-tags'), 'latest'));
  return latest !== undefined && latest.length < 64 ? ` (the latest is ${latest})` : '';
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
