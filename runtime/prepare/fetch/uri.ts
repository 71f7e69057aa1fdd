/**
 * What the URIs of all sources have in common: their paths, how one is shown, and how one is refused.
 *
 * Owns:  that a path cannot lead out of its source, and that user, password and query, which may be secrets, are not
 *        shown. The schemes are in sources/, their grammar in api/sources.ts.
 * Pure.
 * Rule:  a URI that ends with "/" is a folder, any other a file.
 */
import { AppError } from '../../../api/errors.ts';

/** The URI as it may be logged: without credentials in front of the host and without a query. */
export function showUri(text: string): string {
  return text
    .slice(0, 2048)
    .replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, '$1')
    .replace(/[?#].*$/s, '');
}

export type SourcePath = {
  /** Without `.`, `..`, empty segments and a "/" at its ends. */
  readonly path: string;
  readonly folder: boolean;
};

/** @param rest the part of `text` that is the path inside the source @throws SOURCE_INVALID */
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
    if (/\p{Cc}/u.test(decoded)) throw invalidUri(text, 'its path has control characters in it');
    return decoded;
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw invalidUri(text, 'its path has a % that is not followed by two hex digits');
  }
}

/** SOURCE_INVALID with the URI as it may be shown. */
export function invalidUri(text: string, problem: string): AppError {
  return new AppError('SOURCE_INVALID', { uri: showUri(text), problem });
}

/** Whether a path inside a source is plain: relative, forward slashes, nothing that leads out or is ambiguous. */
export function isInnerPath(path: string): boolean {
  if (path === '' || path.length > 1024 || /[\p{Cc}\\]/u.test(path)) return false;
  return path.split('/').every((segment) => segment !== '' && segment !== '.' && segment !== '..');
}
