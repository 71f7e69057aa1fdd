/**
 * A golden set's bytes, read where they are needed: a sidecar is too small to hold a whole set.
 *
 * Owns:  reading pieces of a file. It is opened for each piece and closed again, so that nobody has to end anything; a
 *        piece is a case of a few MiB, on a disk of this machine.
 */
import { closeSync, openSync, readSync } from 'node:fs';

export type Bytes = {
  readonly length: number;
  /** @param to one past the last */
  readonly slice: (from: number, to: number) => Uint8Array<ArrayBuffer>;
};

export function bytesInMemory(bytes: Uint8Array<ArrayBuffer>): Bytes {
  return { length: bytes.length, slice: (from, to) => bytes.subarray(from, to) };
}

export function bytesOfFile(path: string, length: number): Bytes {
  return { length, slice: (from, to) => readPiece(path, from, Math.min(to, length)) };
}

/** @throws Error when the file has become shorter */
function readPiece(path: string, from: number, to: number): Uint8Array<ArrayBuffer> {
  const piece = new Uint8Array(Math.max(0, to - from));
  const file = openSync(path, 'r');
  try {
    for (let at = 0; at < piece.length;) {
      const read = readSync(file, piece, at, piece.length - at, from + at);
      if (read === 0) throw new Error(`${path} became shorter while it was read`);
      at += read;
    }
    return piece;
  } finally {
    closeSync(file);
  }
}

const chunkBytes = 1 << 18;

/** Where each line begins and ends, the line feed left out; the last may have none. */
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

/** Ends at the first byte that is not. */
function isBlank(chunk: Uint8Array, from: number, to: number): boolean {
  for (let index = from; index < to; index += 1) if ((chunk[index] ?? 0) > space) return false;
  return true;
}

const lineFeed = 0x0a;
const space = 0x20;
