/** SPDY frames: complete, incomplete and invalid ones. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  dataFrame,
  FrameReader,
  pingFrame,
  replyFrame,
  type Frame,
} from '../../../../../local/api-server/spdy/frames.ts';
import { HeaderReader, HeaderWriter } from '../../../../../local/api-server/spdy/header-blocks.ts';

/** A SYN_STREAM frame that opens stream 5, without an associated stream or a priority; `block` has the headers. */
const open = (block: Buffer, flags = 0): Buffer =>
  Buffer.concat([Buffer.from([0x80, 3, 0, 1, flags, 0, 0, 10 + block.length, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0]), block]);
const reset = Buffer.from([0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, 5, 0, 0, 0, 5]);
const settings = Buffer.from([0x80, 3, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0]);

describe('FrameReader', () => {
  it('reads frames however they are cut', () => {
    const bytes = Buffer.concat([
      open(Buffer.from('abc'), 1),
      dataFrame(5, Buffer.from('hello'), false),
      settings,
      pingFrame(Buffer.from([0, 0, 0, 1])),
      dataFrame(5, Buffer.alloc(0), true),
      reset,
    ]);
    const want: readonly Frame[] = [
      { kind: 'open', stream: 5, isLast: true, block: Buffer.from('abc') },
      { kind: 'data', stream: 5, isLast: false, bytes: Buffer.from('hello') },
      { kind: 'other' },
      { kind: 'ping', bytes: Buffer.from([0, 0, 0, 1]) },
      { kind: 'data', stream: 5, isLast: true, bytes: Buffer.alloc(0) },
      { kind: 'reset', stream: 5 },
    ];
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const reader = new FrameReader();
      assert.deepEqual([...reader.push(bytes.subarray(0, cut)), ...reader.push(bytes.subarray(cut))], want);
    }
  });

  it('refuses a frame of another version and one that is too large', () => {
    assert.throws(() => [...new FrameReader().push(Buffer.from([0x80, 2, 0, 1, 0, 0, 0, 0]))], /another version/);
    assert.throws(() => [...new FrameReader().push(Buffer.from([0, 0, 0, 1, 0, 0xff, 0, 0]))], /too large/);
  });

  it('terminates for any bytes, with frames or an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        try {
          for (const frame of new FrameReader().push(Buffer.from(bytes))) assert.ok(frame.kind.length > 0);
        } catch (error) {
          assert.ok(error instanceof Error);
        }
      }),
    );
  });

  it('reads its own replies as frames', () =>
    assert.deepEqual([...new FrameReader().push(replyFrame(5, Buffer.from('x')))], [{ kind: 'other' }]));
});

describe('headers of streams', () => {
  it('are read one block after another', async () => {
    const [writer, reader] = [new HeaderWriter(), new HeaderReader()];
    for (let block = 0; block < 3; block += 1) assert.deepEqual(await reader.read(await writer.empty()), new Map());
    writer.close();
    reader.close();
  });

  it('throw when they are not headers', async () => {
    const reader = new HeaderReader();
    await assert.rejects(reader.read(Buffer.from('these are not compressed headers')));
    reader.close();
  });
});
