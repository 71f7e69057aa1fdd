/** Freeing the memory of large buffers when their last user is done. */
import assert from 'node:assert/strict';
import { freeBuffer, freeBytes, leastFreedBytes, shareBuffer } from '../../../lib/free-bytes.ts';

describe('freeing bytes', () => {
  const large = 2 * leastFreedBytes;

  it('frees a buffer whose only bytes are not used any more', () => {
    const bytes = new Uint8Array(large);
    freeBytes(bytes);
    assert.equal(bytes.buffer.detached, true);
    assert.equal(bytes.length, 0);
  });

  it('keeps a buffer that has other bytes', () => {
    const buffer = new ArrayBuffer(large);
    freeBytes(new Uint8Array(buffer, 0, large - 8));
    freeBytes(new Uint8Array(buffer, 8));
    assert.equal(buffer.detached, false);
  });

  it('frees a shared buffer when its last user is done', () => {
    const buffer = new ArrayBuffer(large);
    shareBuffer(buffer, 2);
    freeBytes(new Uint8Array(buffer, 0, leastFreedBytes));
    assert.equal(buffer.detached, false);
    freeBytes(new Uint8Array(buffer, leastFreedBytes));
    assert.equal(buffer.detached, true);
  });

  it('keeps a shared buffer while one user is left, even when another user had all of its bytes', () => {
    const buffer = new ArrayBuffer(large);
    shareBuffer(buffer, 2);
    freeBytes(new Uint8Array(buffer));
    assert.equal(buffer.detached, false);
  });

  it('ignores buffers that are small, shared between threads, or freed before', () => {
    const small = new ArrayBuffer(leastFreedBytes - 1);
    const between = new SharedArrayBuffer(large);
    const freed = new ArrayBuffer(large);
    for (const buffer of [small, between, freed, freed]) freeBuffer(buffer);
    assert.equal(small.detached, false);
    assert.equal(between.byteLength, large);
    assert.equal(freed.detached, true);
  });
});
