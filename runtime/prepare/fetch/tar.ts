/**
 * Reads a tar archive (ustar, pax, GNU's long names) as a stream of entries, with tar-stream.
 *
 * Owns:   the form of an entry. Names are not checked; the caller decides which are safe.
 * Limits: a header and a few pieces in memory; 4 MiB for pax and long-name records.
 * Throws: TarError for a damaged or truncated archive. Errors of the input stream are passed on unchanged.
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
  /** The file's content, readable once. Requesting the next entry skips the rest. */
  readonly bytes: AsyncIterable<Uint8Array>;
};

export async function* readTar(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry, void, void> {
  // Very old archives have the same headers, but without a format mark.
  const archive = extract({ allowUnknownFormat: true } as Parameters<typeof extract>[0]);
  const source = new Source(pieces);
  // The loop below throws the errors of the input and of the archive; the empty handler only prevents an unhandled
  // rejection.
  pipeline(Readable.from(source.pieces()), archive).catch(() => {});
  try {
    for await (const content of archive) {
      const entry = describe(content.header);
      yield { ...entry, bytes: entry.kind === 'folder' ? noBytes() : bytesOf(content, source) };
      // Skip the rest of the content, to reach the next header.
      content.resume();
    }
  } catch (error) {
    throw source.errorFor(error);
  }
}

/** A folder has no content, even if its header gives a size: tar-stream would never end that content. */
async function* noBytes(): AsyncGenerator<Uint8Array, void, void> {}

/** Does not close the content when the caller stops reading it, so that a caller may read only a part of an entry. */
async function* bytesOf(content: AsyncIterable<unknown>, source: Source): AsyncGenerator<Uint8Array, void, void> {
  const iterator = content[Symbol.asyncIterator]();
  try {
    for (let step = await iterator.next(); step.done !== true; step = await iterator.next())
      yield step.value as Uint8Array;
  } catch (error) {
    throw source.errorFor(error);
  }
}

/** Keeps the error of the input stream, because tar-stream only reports that the stream was destroyed. */
class Source {
  readonly #pieces: AsyncIterable<Uint8Array>;
  #failure: { readonly error: unknown } | undefined;

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces;
  }

  /**
   * Wraps #noted() in a second generator. The archive throws its own errors into this outer generator, so #noted() only
   * notes errors of the input.
   */
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
  // tar-stream returns null for a negative size and then never ends the content.
  if (!Number.isSafeInteger(size) || size < 0) throw new TarError('the size in a header is invalid');
  const kind = kindOf(type);
  return { path: name, sizeBytes: kind === 'folder' ? 0 : size, kind };
}

/** tar-stream returns null for an unknown type. */
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
  const text = error instanceof Error ? error.message : String(error);
  if (text.startsWith('Invalid tar header'))
    return 'a header has a wrong checksum: the file is not a tar archive, or is damaged';
  if (text === 'Unexpected end of data') return 'the archive is truncated';
  return text === 'Header exceeds max size' ? 'a name or pax record is longer than 4 MiB' : text;
}
