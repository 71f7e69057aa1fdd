/**
 * Reads a tar archive as a stream: entry by entry, nothing held but a header.
 *
 * Owns:   the format (POSIX ustar with pax headers, and GNU's long names). It writes nothing; names are given as
 *         the archive has them, the caller decides what is safe.
 * Limits: pax and long-name records 64 KiB; a header whose checksum is wrong, or an archive that ends in the
 *         middle of an entry, is a TarError.
 * Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block".
 */

export class TarError extends Error {
  override readonly name = 'TarError';
}

export type TarEntry = {
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'link' | 'other';
  readonly sizeBytes: number;
  /** The file's content, once. What is not read is skipped when the next entry is asked for. */
  readonly bytes: AsyncIterable<Uint8Array>;
};

const blockBytes = 512;
const recordLimitBytes = 64 * 1024;

export async function* readTar(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry, void, void> {
  const input = new Pieces(pieces);
  // What pax and GNU records say of the entry that follows them.
  let said: Said = {};
  for (;;) {
    const block = await input.take(blockBytes);
    // Two zero blocks end an archive; some writers leave one, or just stop.
    if (block === undefined || block.every((byte) => byte === 0)) return;
    const header = parseHeader(block);
    if (header.type === 'x' || header.type === 'L') {
      said = { ...said, ...parseRecord(header.type, await takeRecord(input, header.sizeBytes)) };
      continue;
    }
    const entry = {
      path: said.path ?? header.path,
      sizeBytes: said.sizeBytes ?? header.sizeBytes,
      kind: kindOf(header.type),
    };
    said = {};
    const body = input.body(entry.sizeBytes);
    yield { ...entry, bytes: body.bytes };
    await body.skip();
  }
}

type Said = { readonly path?: string; readonly sizeBytes?: number };
type Header = { readonly path: string; readonly sizeBytes: number; readonly type: string };

function parseHeader(block: Uint8Array): Header {
  const text = (start: number, length: number): string => {
    const field = block.subarray(start, start + length);
    const end = field.indexOf(0);
    return new TextDecoder().decode(end === -1 ? field : field.subarray(0, end));
  };
  if (Number.parseInt(text(148, 8).trim(), 8) !== checksum(block))
    throw new TarError('a header has a wrong checksum: it is not a tar archive, or a damaged one');
  const prefix = text(257, 5) === 'ustar' ? text(345, 155) : '';
  const type = String.fromCharCode(block[156] ?? 0);
  return {
    path: prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`,
    sizeBytes: parseSize(block.subarray(124, 136)),
    type,
  };
}

/** The sum of all bytes, the checksum's own taken as blanks. */
function checksum(block: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < blockBytes; index += 1) sum += index >= 148 && index < 156 ? 32 : (block[index] ?? 0);
  return sum;
}

/** Octal text, or, with the top bit set, a big-endian number: GNU's way for 8 GiB and more. */
function parseSize(field: Uint8Array): number {
  const [first = 0] = field;
  if ((first & 0x80) === 0) {
    const text = new TextDecoder().decode(field).replace(/[\0 ]/g, '');
    if (!/^[0-7]*$/.test(text)) throw new TarError('a header has no readable size');
    return Number.parseInt(text === '' ? '0' : text, 8);
  }
  let size = first & 0x7f;
  for (const byte of field.subarray(1)) size = size * 256 + byte;
  if (!Number.isSafeInteger(size)) throw new TarError('a header claims a size that no disk has');
  return size;
}

function kindOf(type: string): TarEntry['kind'] {
  if (type === '0' || type === '\0' || type === '7') return 'file';
  if (type === '5') return 'folder';
  return type === '1' || type === '2' ? 'link' : 'other';
}

async function takeRecord(input: Pieces, sizeBytes: number): Promise<Uint8Array> {
  if (sizeBytes > recordLimitBytes) throw new TarError('a name or pax record is longer than 64 KiB');
  const record = await input.take(Math.ceil(sizeBytes / blockBytes) * blockBytes);
  if (record === undefined) throw new TarError('it is cut off in a header');
  return record.subarray(0, sizeBytes);
}

/** GNU's record is the name; pax's are lines `length key=value\n`, the length counting the whole line. */
function parseRecord(type: string, record: Uint8Array): Said {
  if (type === 'L') return { path: new TextDecoder().decode(record).replace(/\0.*$/s, '') };
  let said: Said = {};
  for (let at = 0; at < record.length;) {
    const blank = record.indexOf(32, at);
    const length = blank === -1 ? NaN : Number(new TextDecoder().decode(record.subarray(at, blank)));
    if (!Number.isInteger(length) || length <= 0 || at + length > record.length)
      throw new TarError('a pax record is not well-formed');
    said = { ...said, ...parsePax(new TextDecoder().decode(record.subarray(blank + 1, at + length - 1))) };
    at += length;
  }
  return said;
}

function parsePax(line: string): Said {
  const [key] = line.split('=', 1);
  const value = line.slice((key?.length ?? 0) + 1);
  if (key === 'path') return { path: value };
  if (key !== 'size') return {};
  if (!/^\d{1,15}$/.test(value)) throw new TarError('a pax record gives a size that is not a number');
  return { sizeBytes: Number(value) };
}

/** A stream that is read by counts. */
class Pieces {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Exactly `count` bytes; undefined when the stream ends before the first of them. */
  async take(count: number): Promise<Uint8Array | undefined> {
    const out = new Uint8Array(count);
    for (let done = 0; done < count;) {
      const piece = await this.#next(count - done);
      if (piece === undefined && done === 0) return undefined;
      if (piece === undefined) throw new TarError('it is cut off in a header');
      out.set(piece, done);
      done += piece.length;
    }
    return out;
  }

  /** An entry's content, and a way past whatever of it was not read, padding included. */
  body(sizeBytes: number): { bytes: AsyncIterable<Uint8Array>; skip: () => Promise<void> } {
    let left = sizeBytes;
    const read = async (): Promise<Uint8Array | undefined> => {
      if (left === 0) return undefined;
      const piece = await this.#next(left);
      if (piece === undefined) throw new TarError(`it is cut off: ${left} bytes of an entry are missing`);
      left -= piece.length;
      return piece;
    };
    async function* bytes(): AsyncGenerator<Uint8Array, void, void> {
      for (let piece = await read(); piece !== undefined; piece = await read()) yield piece;
    }
    const skip = async (): Promise<void> => {
      while ((await read()) !== undefined);
      let padding = (blockBytes - (sizeBytes % blockBytes)) % blockBytes;
      while (padding > 0) padding -= (await this.#next(padding))?.length ?? padding;
    };
    return { bytes: bytes(), skip };
  }

  async #next(atMost: number): Promise<Uint8Array | undefined> {
    while (this.#rest.length === 0) {
      const step = await this.#source.next();
      if (step.done === true) return undefined;
      this.#rest = step.value;
    }
    const piece = this.#rest.subarray(0, atMost);
    this.#rest = this.#rest.subarray(piece.length);
    return piece;
  }
}
