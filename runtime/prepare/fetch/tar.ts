/**
 * Reads a tar archive as a stream: entry by entry, with at most a header and a few pieces in memory.
 *
 * Owns:   the entry as the fetcher sees it. It writes nothing; names are given as the archive has them, the caller
 *         decides what is safe. The format (ustar, pax, GNU's long names) is read by tar-stream.
 * Limits: pax and long-name records 4 MiB, which is tar-stream's bound.
 * Throws: TarError for an archive that is damaged or cut off. Errors of the stream that is read pass unchanged.
 */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';

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

export async function* readTar(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry, void, void> {
  // The oldest archives have no format mark; their headers are read alike.
  const archive = extract({ allowUnknownFormat: true } as Parameters<typeof extract>[0]);
  const source = new Source(pieces);
  // The errors of both ends reach the reader through the archive.
  pipeline(Readable.from(source.pieces()), archive).catch(() => {});
  try {
    for await (const content of archive) {
      yield { ...describe(content.header), bytes: bytesOf(content, source) };
      // Drop what the caller left: the next header follows it.
      content.resume();
    }
  } catch (error) {
    throw source.errorFor(error);
  }
}

/** Ends without closing the content, so that a caller may leave the rest of an entry. */
async function* bytesOf(content: AsyncIterable<unknown>, source: Source): AsyncGenerator<Uint8Array, void, void> {
  const iterator = content[Symbol.asyncIterator]();
  try {
    for (let step = await iterator.next(); step.done !== true; step = await iterator.next())
      yield step.value as Uint8Array;
  } catch (error) {
    throw source.errorFor(error);
  }
}

/** Keeps the error of the stream that is read: the archive passes on only that it was destroyed. */
class Source {
  readonly #pieces: AsyncIterable<Uint8Array>;
  #failure: { readonly error: unknown } | undefined;

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces;
  }

  /** The outer loop takes what a stream throws into its source, so that only errors of the pieces are kept. */
  async *pieces(): AsyncGenerator<Uint8Array, void, void> {
    for await (const piece of this.#noted()) yield piece;
  }

  async *#noted(): AsyncGenerator<Uint8Array, void, void> {
    try {
      for await (const piece of this.#pieces) yield piece;
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }

  errorFor(error: unknown): unknown {
    if (this.#failure !== undefined) return this.#failure.error;
    return error instanceof TarError ? error : new TarError(problemOf(error), { cause: error });
  }
}

function describe({ name, size, type }: Header): Omit<TarEntry, 'bytes'> {
  // tar-stream gives null for a negative size, and would wait for the end of its content forever.
  if (!Number.isSafeInteger(size) || size < 0) throw new TarError('a header has no readable size');
  return { path: name, sizeBytes: size, kind: kindOf(type) };
}

/** tar-stream gives null for a type that it does not know. */
function kindOf(type: Header['type'] | null): TarEntry['kind'] {
  switch (type) {
    case 'file':
    case 'contiguous-file':
      return 'file';
    case 'directory':
      return 'folder';
    case 'link':
    case 'symlink':
      return 'link';
    default:
      return 'other';
  }
}

function problemOf(error: unknown): string {
  const said = error instanceof Error ? error.message : String(error);
  if (said.startsWith('Invalid tar header'))
    return 'a header has a wrong checksum: this is not a tar archive, or a damaged one';
  if (said === 'Unexpected end of data') return 'it is cut off';
  return said === 'Header exceeds max size' ? 'a name or pax record is longer than 4 MiB' : said;
}
