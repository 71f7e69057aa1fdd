/**
 * Where bytes come from, for the rest of the artifact code.
 *
 * Owns: the port. A source opens one file at an offset and reports what it learned about the file. The caller
 *       (download.ts) retries, resumes, checks and stores, in the same way for every source.
 */

/** Identifies the version of a file that is fetched in pieces: an ETag, or a modification date. */
export type Validator = string;

export type OpenAt = {
  readonly offset: number;
  /** The validator of earlier pieces. If the file has changed, the source answers `offset: 0`. */
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
  /** Bytes of one source, unpacked. */
  readonly sourceBytes: number;
  /** Files of one folder. */
  readonly files: number;
  /** Failed attempts in a row, without a single byte received, before a download is given up. */
  readonly tries: number;
};

export const defaultLimits: SourceLimits = { sourceBytes: 64 * 2 ** 30, files: 10_000, tries: 6 };
