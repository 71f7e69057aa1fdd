/**
 * The grammar of a model's URI: what each scheme means, and why a text is refused.
 *
 * Owns:  the grammar, and how a URI is shown: without user, password and query, which may be secrets.
 * Pure.
 * Rule:  a URI that ends with "/" is a folder, any other a file. Versions are exact: what was tested is what is
 *        served.
 */
import { AppError } from '../../api/errors.ts';
import { ownValue } from '../../api/record.ts';

export type SourceUri =
  | { readonly scheme: 'https'; readonly url: URL; readonly folder: boolean }
  | {
      readonly scheme: 'npm';
      readonly name: string;
      readonly version: string;
      readonly path: string;
      readonly folder: boolean;
    }
  | { readonly scheme: 'pvc'; readonly claim: string; readonly path: string; readonly folder: boolean }
  | { readonly scheme: 'file'; readonly path: string; readonly folder: boolean };

export type UriRules = {
  /** Local mode and `serve`: files of this machine are fine. */
  readonly allowFile: boolean;
  /** Whether the bytes are pinned by a digest; plain http is refused otherwise. */
  readonly pinned: boolean;
};

/**
 * @returns the parsed URI; paths are relative (of `file` absolute), without `.`, `..` and empty segments
 * @throws SOURCE_INVALID with what is wrong and how to write it
 */
export function parseSourceUri(text: string, rules: UriRules): SourceUri {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase() ?? '';
  // Whatever has control characters or blanks in it was pasted wrongly; nothing behind here has to expect them.
  if (text.length > 2048 || /[\p{Cc}\s]/u.test(text))
    throw invalid(text, 'it has blanks or control characters in it, or is longer than 2048 characters');
  const parse = ownValue(parsers, scheme);
  if (parse === undefined) throw invalid(text, unsupported(scheme));
  const problem = refuseByRule(scheme, rules);
  if (problem !== undefined) throw invalid(text, problem);
  return parse(text);
}

const parsers: Readonly<Record<string, (text: string) => SourceUri>> = {
  https: parseHttp,
  http: parseHttp,
  npm: parseNpm,
  pvc: parsePvc,
  file: parseFile,
};

function refuseByRule(scheme: string, rules: UriRules): string | undefined {
  if (scheme === 'http' && !rules.pinned)
    return 'over plain http anybody on the way could change the model: use https, or pin it with spec.model.digest';
  if (scheme === 'file' && !rules.allowFile) return 'file: is for local mode only; on a cluster use pvc://claim/path';
  return undefined;
}

/** The URI as it may be logged: without credentials in front of the host and without a query. */
export function showUri(text: string): string {
  return text
    .slice(0, 2048)
    .replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, '$1')
    .replace(/[?#].*$/s, '');
}

const planned: Readonly<Record<string, string>> = {
  s3: 'S3 buckets',
  oci: 'OCI registries',
  hf: 'the Hugging Face Hub',
};

function unsupported(scheme: string): string {
  const what = ownValue(planned, scheme);
  if (what !== undefined)
    return `${what} (${scheme}://) are not supported yet by this version: use https://, npm: or pvc://`;
  return scheme === ''
    ? 'it has no scheme: begin it with https://, npm: or pvc://'
    : `${scheme}: is not a scheme this version knows: use https://, npm: or pvc://`;
}

function parseHttp(text: string): SourceUri {
  if (!URL.canParse(text)) throw invalid(text, 'it is not a URL');
  const url = new URL(text);
  if (url.hash !== '') throw invalid(text, 'a fragment (#…) names nothing on a server');
  if (!isDecodable(url.username) || !isDecodable(url.password))
    throw invalid(text, 'a % in its user or password must be written as %25');
  const folder = url.pathname.endsWith('/');
  if (folder && url.search !== '') throw invalid(text, 'a folder cannot have a query: paths are added to its end');
  return { scheme: 'https', url, folder };
}

const npmPattern = /^npm:((?:@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]*)(?:@([^/]*))?(?:\/(.*))?$/i;
const exactVersion = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/;

function parseNpm(text: string): SourceUri {
  const [, name, version, rest] = npmPattern.exec(text) ?? [];
  if (name === undefined) throw invalid(text, 'write it as npm:package@1.2.3/path or npm:@scope/package@1.2.3/path');
  if (version === undefined || !exactVersion.test(version))
    throw invalid(text, `the version must be exact, such as ${name}@1.2.3`);
  if (rest === undefined) throw invalid(text, 'it says no file or folder: add /path, or / for the whole package');
  return { scheme: 'npm', name, version, ...parsePath(text, rest) };
}

function parsePvc(text: string): SourceUri {
  const [, claim, rest] = /^pvc:\/\/([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)\/(.*)$/i.exec(text) ?? [];
  if (claim === undefined || rest === undefined)
    throw invalid(text, 'write it as pvc://claim/path, with a / at the end of a folder');
  return { scheme: 'pvc', claim, ...parsePath(text, rest) };
}

function parseFile(text: string): SourceUri {
  const [, rest] = /^file:\/\/\/(.*)$/i.exec(text) ?? [];
  if (rest === undefined) throw invalid(text, 'write it as file:///absolute/path');
  const { path, folder } = parsePath(text, rest);
  return { scheme: 'file', path: `/${path}`, folder };
}

function parsePath(text: string, rest: string): { path: string; folder: boolean } {
  const folder = rest === '' || rest.endsWith('/');
  const segments = decode(text, rest)
    .split('/')
    .filter((segment) => segment !== '');
  const bad = segments.find((segment) => segment === '.' || segment === '..' || segment.includes('\\'));
  if (bad !== undefined) throw invalid(text, `its path must not contain '${bad}'`);
  return { path: segments.join('/'), folder };
}

function decode(text: string, path: string): string {
  try {
    const decoded = decodeURIComponent(path);
    if (/\p{Cc}/u.test(decoded)) throw invalid(text, 'its path has control characters in it');
    return decoded;
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw invalid(text, 'its path has a % that is not followed by two hex digits');
  }
}

function isDecodable(text: string): boolean {
  try {
    return decodeURIComponent(text) !== undefined;
  } catch {
    return false;
  }
}

function invalid(text: string, problem: string): AppError {
  return new AppError('SOURCE_INVALID', { uri: showUri(text), problem });
}

/** Whether a path inside a source is plain: relative, forward slashes, nothing that leads out or is ambiguous. */
export function isInnerPath(path: string): boolean {
  if (path === '' || path.length > 1024 || /[\p{Cc}\\]/u.test(path)) return false;
  return path.split('/').every((segment) => segment !== '' && segment !== '.' && segment !== '..');
}
