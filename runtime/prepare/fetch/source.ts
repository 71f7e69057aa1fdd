/**
 * Where bytes come from, as the rest of the artifact code sees it.
 *
 * Owns: the port. A source opens one file at an offset and reports what it learned about it on the way;
 *       retrying, resuming, checking and storing are the caller's (download.ts), alike for every source.
 */

/** What holds a file still while it is fetched in pieces: an ETag, or a date of modification. */
export type Validator = string;

export type OpenAt = {
  readonly offset: number;
  /** Of the earlier pieces; the source then says `offset: 0` if the file is another one by now. */
  readonly validator?: Validator;
};

export type Opened = {
  /** Where the bytes begin: what was asked for, or 0 when they come from the start after all. */
  readonly offset: number;
  /** Size of the whole file, where the source tells. */
  readonly totalBytes?: number;
  readonly validator?: Validator;
  readonly bytes: AsyncIterable<Uint8Array>;
};

export interface Source {
  /** How errors and logs call a file of it: a URI without secrets. */
  show(path: string): string;
  /**
   * Opens a file. @param path inside the source; '' when the source is a single file
   * @throws SOURCE_MISSING, SOURCE_INVALID for good; SOURCE_UNAVAILABLE when trying again may help. So does the
   *   iteration.
   */
  open(path: string, at: OpenAt, signal: AbortSignal): Promise<Opened>;
}

export type Limits = {
  /** Bytes of one source, unpacked. */
  readonly sourceBytes: number;
  /** Files of one folder. */
  readonly files: number;
  /** Failed tries in a row, without a single byte in between, before a download is given up. */
  readonly tries: number;
};

export const defaultLimits: Limits = { sourceBytes: 64 * 2 ** 30, files: 10_000, tries: 6 };
