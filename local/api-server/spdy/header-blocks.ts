/**
 * Headers of SPDY/3.1 streams: lists of names and values. All header blocks of a connection share one compression state
 * for each direction.
 * Owns: compression in both directions, with the fixed dictionary of the protocol (SPDY draft 3, section 2.6.10.1).
 * Limits: 64 KiB of headers per stream; a larger block closes the connection.
 */
import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib';

const maxBytes = 64 * 1024;

const words = [
  ...(
    'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age ' +
    'allow authorization'
  ).split(' '),
  ...(
    'cache-control connection content-base content-encoding content-language content-length content-location ' +
    'content-md5 content-range'
  ).split(' '),
  ...(
    'content-type date etag expect expires from host if-match if-modified-since if-none-match if-range ' +
    'if-unmodified-since'
  ).split(' '),
  ...(
    'last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after ' +
    'server te trailer'
  ).split(' '),
  ...'transfer-encoding upgrade user-agent vary via warning www-authenticate method get status'.split(' '),
  '200 OK',
  ...'version HTTP/1.1 url public set-cookie keep-alive origin'.split(' '),
];

const tail = [
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 ' +
    'Non-Authoritative Information204 No ',
  'Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server ' +
    'Error501 Not Implemented5',
  '03 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, ' +
    'Sun, GMTchunked,text',
  '/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,' +
    'publicprivatemax-age=gzip,def',
  'late,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.',
].join('');

const dictionary = Buffer.concat([...words.flatMap((word) => [sizeOf(word), Buffer.from(word)]), Buffer.from(tail)]);

function sizeOf(text: string): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(Buffer.byteLength(text));
  return size;
}

/** Reads the header blocks of a connection. Blocks must be read in the order of their arrival. */
export class HeaderReader {
  readonly #inflate: Inflate = createInflate({ dictionary, finishFlush: constants.Z_SYNC_FLUSH });

  /**
   * @returns values by lower-case name
   * @throws Error for a broken or too large block
   */
  async read(block: Uint8Array): Promise<ReadonlyMap<string, string>> {
    const chunks: Buffer[] = [];
    let size = 0;
    const take = (): void => {
      for (
        let chunk = this.#inflate.read() as Buffer | null;
        chunk !== null;
        chunk = this.#inflate.read() as Buffer | null
      ) {
        chunks.push(chunk);
        size += chunk.length;
      }
      if (size > maxBytes) this.#inflate.destroy(new Error('the headers of a stream are too large'));
    };
    this.#inflate.on('readable', take);
    try {
      await written(this.#inflate, block);
      take();
    } finally {
      this.#inflate.off('readable', take);
    }
    return parse(Buffer.concat(chunks));
  }

  close(): void {
    this.#inflate.destroy();
  }
}

function written(stream: Inflate, block: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.once('error', reject);
    stream.write(block, (error) => {
      stream.off('error', reject);
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}

/**
 * Parses the pairs of a block. The block begins with the number of pairs; every text is preceded by its size in four
 * bytes.
 */
function parse(bytes: Buffer): ReadonlyMap<string, string> {
  let at = 4;
  const text = (): string => {
    const size = bytes.readUInt32BE(at);
    at += 4 + size;
    if (at > bytes.length) throw new Error('the headers of a stream end too early');
    return bytes.toString('utf8', at - size, at);
  };
  const headers = new Map<string, string>();
  for (let left = bytes.readUInt32BE(0); left > 0; left -= 1) headers.set(text().toLowerCase(), text());
  return headers;
}

/** Writes header blocks. This server only sends blocks without headers. */
export class HeaderWriter {
  readonly #deflate: Deflate = createDeflate({ dictionary });

  /** A block without headers. */
  async empty(): Promise<Buffer> {
    this.#deflate.write(Buffer.alloc(4));
    await new Promise<void>((resolve) => {
      this.#deflate.flush(constants.Z_SYNC_FLUSH, resolve);
    });
    const chunks: Buffer[] = [];
    for (
      let chunk = this.#deflate.read() as Buffer | null;
      chunk !== null;
      chunk = this.#deflate.read() as Buffer | null
    )
      chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  close(): void {
    this.#deflate.destroy();
  }
}
