/**
 * What URIs of all sources have in common: parsing paths, showing URIs and refusing them.
 *
 * Owns:  the rules that a path must not lead out of its source, and that user, password and query are not shown,
 *        because they may be secrets. A URI that ends with "/" is a folder, any other URI is a file. The schemes are in
 *        sources/, and their grammar is in api/sources.ts.
 * Pure.
 */
import { AppError } from '../../../api/errors.ts';

/** The URI for logs: without credentials and query. */
export function showUri(text: string): string {
  return text
    .slice(0, 2048)
    .replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, '$1')
    .replace(/[?#].*$/s, '');
}

export type SourcePath = {
  /** Without `.`, `..`, empty segments and "/" at either end. */
  readonly path: string;
  readonly folder: boolean;
};

/**
 * @param rest the part of `text` that is the path inside the source
 * @throws SOURCE_INVALID
 */
export function parsePath(text: string, rest: string): SourcePath {
  const folder = rest === '' || rest.endsWith('/');
  const segments = decode(text, rest)
    .split('/')
    .filter((segment) => segment !== '');
  const bad = segments.find((segment) => segment === '.' || segment === '..' || segment.includes('\\'));
  if (bad !== undefined) throw invalidUri(text, `its path must not contain '${bad}'`);
  return { path: segments.join('/'), folder };
}

function decode(text: string, path: string): string {
  try {
    const decoded = decodeURIComponent(path);
    if (/\p{Cc}/u.test(decoded)) throw invalidUri(text, 'its path contains control characters');
    return decoded;
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw invalidUri(text, 'its path contains a % that is not followed by two hex digits');
  }
}

/** The error SOURCE_INVALID, which shows the URI without secrets. */
export function invalidUri(text: string, problem: string): AppError {
  return new AppError('SOURCE_INVALID', { uri: showUri(text), problem });
}

/** True for a plain path: relative, with forward slashes, without segments that lead out or are ambiguous. */
export function isInnerPath(path: string): boolean {
  if (path === '' || path.length > 1024 || /[\p{Cc}\\]/u.test(path)) return false;
  return path.split('/').every((segment) => segment !== '' && segment !== '.' && segment !== '..');
}
