/**
 * Reads a golden set's bytes piece by piece, because a sidecar's memory is too small for a whole set. A golden set is a
 * file of cases: requests to a model, with or without the expected answers.
 *
 * Owns:  reading pieces of a file. Each read opens and closes the file, so callers need not close anything. A piece is
 *        one case or a chunk of lines: at most a few MiB on a local disk.
 */
import { closeSync, openSync, readSync } from 'node:fs';

export type Bytes = {
  readonly length: number;
  /** @param to end of the piece, exclusive */
  readonly slice: (from: number, to: number) => Uint8Array<ArrayBuffer>;
};

export function bytesInMemory(bytes: Uint8Array<ArrayBuffer>): Bytes {
  return { length: bytes.length, slice: (from, to) => bytes.subarray(from, to) };
}

export function bytesOfFile(path: string, length: number): Bytes {
  return { length, slice: (from, to) => readPiece(path, from, Math.min(to, length)) };
}

/** @throws Error when the file became shorter than `to` */
function readPiece(path: string, from: number, to: number): Uint8Array<ArrayBuffer> {
  const piece = new Uint8Array(Math.max(0, to - from));
  const file = openSync(path, 'r');
  try {
    for (let at = 0; at < piece.length;) {
      const read = readSync(file, piece, at, piece.length - at, from + at);
      if (read === 0) throw new Error(`${path} became shorter while it was being read`);
      at += read;
    }
    return piece;
  } finally {
    closeSync(file);
  }
}

const chunkBytes = 1 << 18;

/**
 * Yields the start and end of each line without its line feed, and whether the line is blank. The last line may lack a
 * line feed.
 */
export function* lineRanges(
  bytes: Bytes,
): Generator<{ readonly from: number; readonly to: number; readonly blank: boolean }> {
  let from = 0;
  let blank = true;
  for (let start = 0; start < bytes.length; start += chunkBytes) {
    const chunk = bytes.slice(start, Math.min(start + chunkBytes, bytes.length));
    let at = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, at)) {
      yield { from, to: start + end, blank: blank && isBlank(chunk, at, end) };
      at = end + 1;
      from = start + at;
      blank = true;
    }
    blank = blank && isBlank(chunk, at, chunk.length);
  }
  if (from < bytes.length) yield { from, to: bytes.length, blank };
}

/** True if the range contains only spaces and control characters (bytes up to 0x20). Stops at the first other byte. */
function isBlank(chunk: Uint8Array, from: number, to: number): boolean {
  for (let index = from; index < to; index += 1) if ((chunk[index] ?? 0) > space) return false;
  return true;
}

const lineFeed = 0x0a;
const space = 0x20;
