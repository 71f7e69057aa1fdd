/**
 * A place from which files can be read, such as a web server.
 *
 * Owns: the port. A source opens one file at an offset and reports what it learned about the file. The caller
 *       (download.ts) retries, resumes, checks and stores, in the same way for every source.
 */

/** Identifies the version of a file that is fetched in pieces: an ETag, or a modification date. */
export type Validator = string;

export type OpenAt = {
  readonly offset: number;
  /**
   * The validator of the pieces that were received earlier. If the file has changed, the source answers `offset: 0`.
   */
  readonly validator?: Validator;
};

export type Opened = {
  /** Where the bytes begin: the requested offset, or 0 when the source sends the file from its beginning. */
  readonly offset: number;
  /** Size of the whole file, if the source reports it. */
  readonly totalBytes?: number;
  readonly validator?: Validator;
  readonly bytes: AsyncIterable<Uint8Array>;
};

export interface Source {
  /** A file's name in errors and logs: a URI without secrets. */
  show(path: string): string;
  /**
   * Opens a file.
   * @param path inside the source; '' when the source is a single file
   * @throws SOURCE_MISSING and SOURCE_INVALID for permanent errors, SOURCE_UNAVAILABLE when a retry may help. Iterating
   *   may throw the same errors.
   */
  open(path: string, at: OpenAt, signal: AbortSignal): Promise<Opened>;
}

export type SourceLimits = {
  /** Maximum bytes of one source after unpacking. */
  readonly sourceBytes: number;
  /** Maximum number of files in one folder. */
  readonly files: number;
  /**
   * A download fails after this many failed attempts in a row. A failed attempt that received bytes restarts the count
   * at 1.
   */
  readonly tries: number;
};

export const defaultLimits: SourceLimits = { sourceBytes: 64 * 2 ** 30, files: 10_000, tries: 6 };
