/**
 * Models in a version of an npm package.
 *
 * Owns: the meaning of npm: URIs, and which files of a package are kept. A URI names an exact version, so that the
 *       served version is the tested version.
 */
import { getCACertificates } from 'node:tls';
import { AppError } from '../../../api/errors.ts';
import type { SourceConfig } from '../../../api/runtime-config.ts';
import { checkDigest } from '../cache/digest.ts';
import type { FetchDeps } from '../fetch/download.ts';
import { HttpClient } from '../fetch/http-client.ts';
import { fetchNpm } from '../fetch/npm-package.ts';
import type { NpmUri } from '../fetch/npm-registry.ts';
import { readNpmSettings } from '../fetch/npm-settings.ts';
import type { SourceFile } from '../prepared.ts';
import { invalidUri, parsePath, showUri } from '../fetch/uri.ts';
import type { SourceScheme } from './scheme.ts';

const form = /^npm:((?:@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]*)(?:@([^/]*))?(?:\/(.*))?$/;
const exactVersion = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/;

export const npm: SourceScheme<NpmUri> = {
  parse(text) {
    const [, name, version, rest] = form.exec(text) ?? [];
    if (name === undefined)
      throw invalidUri(text, 'write it as npm:package@1.2.3/path or npm:@scope/package@1.2.3/path');
    if (version === undefined || !exactVersion.test(version))
      throw invalidUri(text, `the version must be exact, such as ${name}@1.2.3`);
    if (rest === undefined)
      throw invalidUri(text, 'it does not name a file or folder: add /path, or / for the whole package');
    return { scheme: 'npm', name, version, ...parsePath(text, rest) };
  },

  open(uri, asked, deps) {
    return deps.throughCache(async (fetching) => {
      const settings = await readNpmSettings(deps.npm);
      const ca = settings.ca.length === 0 ? {} : { ca: [...getCACertificates('default'), ...settings.ca] };
      const client = new HttpClient({ ...deps.http, ...ca });
      try {
        const files = await fetchNpm(uri, { ...fetching, client, settings });
        return asked.files === undefined
          ? files
          : await keepWanted(files, asked.files, { show: showUri(asked.uri), staging: fetching.staging });
      } finally {
        await client.close();
      }
    });
  },
};

type KeepTools = { readonly show: string; readonly staging: FetchDeps['staging'] };

/** Keeps only the files that the spec names, and checks the digests that the spec gives. */
async function keepWanted(
  files: readonly SourceFile[],
  wanted: NonNullable<SourceConfig['files']>,
  { show, staging }: KeepTools,
): Promise<SourceFile[]> {
  const kept = wanted.map(({ path, digest }) => {
    const file = files.find((one) => one.path === path);
    if (file === undefined)
      throw new AppError('SOURCE_MISSING', { uri: `${show}${path}`, why: 'the package does not contain it' });
    checkDigest(`${show}${path}`, digest, file.digest);
    return file;
  });
  for (const file of files) if (!kept.includes(file)) await staging.forget(file.path);
  return kept;
}
