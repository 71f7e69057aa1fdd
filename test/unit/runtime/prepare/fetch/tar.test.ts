/** Reading archives that npm, GNU tar or an attacker may write. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { readTar, TarError } from '../../../../../runtime/prepare/fetch/tar.ts';
import { paxRecord, tar, tarEntry, writeChecksum } from '../../../../support/artifact.ts';

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(bytes: Uint8Array, { size = 100, skip = [] as string[] } = {}): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const entry of readTar(pieces(bytes, size))) {
    if (skip.includes(entry.path)) continue;
    const parts: Uint8Array[] = [];
    for await (const part of entry.bytes) parts.push(part);
    found[`${entry.kind} ${entry.path}`] = Buffer.concat(parts).toString();
  }
  return found;
}

/** A header whose size field begins with 0x81. It is not octal, and base-256 numbers begin with 0x80 or 0xff. */
function unreadableSize(): Buffer {
  const [header = Buffer.alloc(0)] = tarEntry('a', new Uint8Array(0));
  header[124] = 0x81;
  writeChecksum(header);
  return Buffer.concat([header, Buffer.alloc(1024)]);
}

describe('readTar', () => {
  const files = [
    { path: 'package/a.txt', bytes: Buffer.from('alpha') },
    { path: 'package/b', bytes: Buffer.alloc(1000, 'b') },
  ];

  for (const size of [1, 7, 512, 10_000]) {
    it(`reads entries from pieces of ${size} bytes`, async () => {
      assert.deepEqual(await read(tar(files), { size }), {
        'file package/a.txt': 'alpha',
        'file package/b': 'b'.repeat(1000),
      });
    });
  }

  it('skips what is not read', async () => {
    assert.deepEqual(Object.keys(await read(tar(files), { skip: ['package/a.txt'] })), ['file package/b']);
  });

  it('skips the rest of an entry that is read in part', async () => {
    const seen: string[] = [];
    for await (const entry of readTar(pieces(tar(files), 512))) {
      seen.push(entry.path);
      for await (const part of entry.bytes) if (part.length > 0) break;
    }
    assert.deepEqual(seen, ['package/a.txt', 'package/b']);
  });

  it('passes on the error of the stream that it reads, before an entry and in one', async () => {
    for (const end of [0, 300, 512 + 512 + 512 + 100]) {
      const failing = async function* (): AsyncGenerator<Uint8Array> {
        yield* pieces(tar(files).subarray(0, end), 100);
        throw new RangeError('the disk is gone');
      };
      const reading = async (): Promise<void> => {
        for await (const entry of readTar(failing())) for await (const part of entry.bytes) assert.ok(part);
      };
      await assert.rejects(reading(), RangeError);
    }
  });

  it('takes long names from pax headers', async () => {
    const path = `package/${'deep/'.repeat(40)}x`;
    assert.deepEqual(Object.keys(await read(tar([{ path }]))), [`file ${path}`]);
  });

  it('takes long names from GNU records', async () => {
    const path = `package/${'long'.repeat(50)}`;
    const bytes = Buffer.concat([
      ...tarEntry('././@LongLink', Buffer.from(`${path}\0`), { type: 'L' }),
      ...tarEntry('short', Buffer.from('x')),
      Buffer.alloc(1024),
    ]);
    assert.deepEqual(await read(bytes), { [`file ${path}`]: 'x' });
  });

  it('takes a size from a pax header', async () => {
    const bytes = Buffer.concat([
      ...tarEntry('PaxHeader', paxRecord('size', '5'), { type: 'x' }),
      ...tarEntry('a', Buffer.from('alpha'), { sizeBytes: 0 }),
      Buffer.alloc(1024),
    ]);
    assert.deepEqual(await read(bytes), { 'file a': 'alpha' });
  });

  it('tells links and folders from files', async () => {
    assert.deepEqual(
      Object.keys(
        await read(
          tar([
            { path: 'd/', type: '5' },
            { path: 'l', type: '2', link: '/etc/passwd' },
            { path: 'h', type: '1', link: 'a' },
          ]),
        ),
      ),
      ['folder d/', 'link l', 'link h'],
    );
  });

  it('reads a folder whose header has a size, which no content follows', async () => {
    const [header = Buffer.alloc(0)] = tarEntry('d/', new Uint8Array(0), { type: '5', sizeBytes: 4096 });
    const bytes = Buffer.concat([header, ...tarEntry('a', Buffer.from('alpha')), Buffer.alloc(1024)]);
    assert.deepEqual(await read(bytes), { 'folder d/': '', 'file a': 'alpha' });
    assert.deepEqual(await read(bytes, { skip: ['d/'] }), { 'file a': 'alpha' });
  });

  it('ends without the two closing blocks', async () => {
    assert.deepEqual(await read(Buffer.concat(tarEntry('a', Buffer.from('alpha')))), { 'file a': 'alpha' });
  });

  // prettier-ignore
  const broken: { name: string; bytes: Buffer; want: RegExp }[] = [
    { name: 'bytes that are not an archive', bytes: Buffer.alloc(1024, 'x'), want: /checksum/ },
    { name: 'an archive that ends in an entry', bytes: tar(files).subarray(0, 600 + 1100), want: /truncated/ },
    { name: 'an archive that ends in a header', bytes: tar(files).subarray(0, 300), want: /truncated/ },
    { name: 'an entry whose size cannot be read', bytes: unreadableSize(), want: /size in a header is invalid/ },
    { name: 'a name of a gigabyte', bytes: Buffer.concat(
        [...tarEntry('p', Buffer.from('x'), { type: 'L', sizeBytes: 2 ** 30 }),
        Buffer.alloc(1024)]), want: /longer than 4 MiB/ },
  ];
  for (const { name, bytes, want } of broken)
    it(`refuses ${name}`, async () =>
      assert.rejects(read(bytes), (error: unknown) => error instanceof TarError && want.test(error.message)));

  it('answers any damage with entries or a TarError', async () => {
    const good = tar(files);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 }),
        fc.nat(good.length),
        async (edits, end) => {
          const bytes = Uint8Array.from(good.subarray(0, end));
          for (const [at, value] of edits) if (at < end) bytes[at] = value;
          await read(bytes, { size: 512 }).catch((error: unknown) =>
            assert.ok(error instanceof TarError, String(error)),
          );
        },
      ),
      { numRuns: 300, seed: 1 },
    );
  });
});
