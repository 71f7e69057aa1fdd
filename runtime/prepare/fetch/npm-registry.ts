/**
 * Finds a package version's archive in the npm registry that this machine is set to.
 *
 * Owns:   what the registry says: where the archive is and which integrity vouches for it.
 * Limits: a registry's answer 64 MiB, an integrity 4096 characters.
 *         Credentials go only to where the settings give them for.
 * Throws: SOURCE_MISSING, SOURCE_INVALID, SOURCE_UNAVAILABLE.
 */
import { readFile } from 'node:fs/promises';
import ssri, { type Integrity } from 'ssri';
import { AppError } from '../../../api/errors.ts';
import { downloadFile, type FetchContext } from './download.ts';
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

export type NpmTools = { readonly client: HttpClient; readonly settings: NpmSettings };

export type NpmPackage = {
  /** `npm:name@version` */
  readonly uri: string;
  /** Where the archive may be, to be tried in order. */
  readonly archives: readonly Source[];
  /** Subresource integrity of the archive: hashes of SHA-512, SHA-384 or SHA-256, at least one. */
  readonly integrity: Integrity;
};

const packumentLimitBytes = 64 * 2 ** 20;
const maxIntegrityLength = 4096;

export async function findPackage(uri: NpmUri, tools: NpmTools, context: FetchContext): Promise<NpmPackage> {
  const show = `npm:${uri.name}@${uri.version}`;
  const registry = tools.settings.registryOf(uri.name);
  const url = new URL(uri.name.replace('/', '%2f'), registry);
  const source = sourceAt(url, tools, { accept: 'application/vnd.npm.install-v1+json, application/json;q=0.8' });
  const packument = await readPackument(source, show, context);
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
      problem: 'the registry gives no SHA-2 integrity for it, so nothing vouches for its bytes',
    });
  if (tarball === undefined || !URL.canParse(tarball))
    throw new AppError('SOURCE_INVALID', { uri: show, problem: 'the registry gives no address for its archive' });
  return { uri: show, integrity, archives: archiveUrls(new URL(tarball), registry).map((at) => sourceAt(at, tools)) };
}

/**
 * A mirror may hand out addresses of the registry it mirrors, which are out of reach: the one that is set comes first.
 */
function archiveUrls(tarball: URL, registry: URL): URL[] {
  if (tarball.host === registry.host) return [tarball];
  const mirrored = new URL(registry);
  mirrored.pathname = registry.pathname.replace(/\/$/, '') + tarball.pathname;
  return [mirrored, tarball];
}

function sourceAt(url: URL, { client, settings }: NpmTools, headers: Readonly<Record<string, string>> = {}): Source {
  const authorization = settings.authorizationFor(url);
  return new HttpSource(client, url, authorization === undefined ? headers : { ...headers, authorization });
}

/**
 * Fetched by the same path as everything else, so that it is retried and bounded alike, and thrown away after reading.
 */
async function readPackument(source: Source, show: string, context: FetchContext): Promise<unknown> {
  const as = '.packument.json';
  await context.staging.forget(as);
  await downloadFile(source, { path: '', as, roomBytes: packumentLimitBytes }, context).catch((error: unknown) => {
    if (!(error instanceof AppError) || error.code !== 'SOURCE_MISSING') throw error;
    throw new AppError(
      'SOURCE_MISSING',
      { uri: show, why: `the registry does not have the package (${error.message})` },
      { cause: error },
    );
  });
  const text = await readFile(context.staging.pathOf(as), 'utf8');
  await context.staging.forget(as);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AppError(
      'SOURCE_UNAVAILABLE',
      { uri: show, why: 'the registry answered with something that is not JSON' },
      { cause: error },
    );
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

/** Strict: what is not SHA-2 of full length is passed over. SHA-1 alone does not vouch for an archive. */
function integrityOf(text = ''): Integrity | undefined {
  if (text.length > maxIntegrityLength) return undefined;
  // null when no hash is left, which the types do not say.
  return (ssri.parse(text, { strict: true }) as Integrity | null) ?? undefined;
}

function newest(packument: unknown): string {
  const latest = textOf(memberOf(memberOf(packument, 'dist-tags'), 'latest'));
  return latest !== undefined && latest.length < 64 ? ` (the newest is ${latest})` : '';
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
