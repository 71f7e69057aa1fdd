/**
 * Frees large buffers when their last user is done, instead of at V8's next full collection.
 *
 * Owns:   the number of users of each buffer that several users share.
 * Limits: the caller guarantees that nothing uses the bytes any more: neither JavaScript, nor a write in progress.
 * Why:    V8 counts the bytes of buffers towards the size at which it collects its whole heap. A server that gets or
 *         sends a megabyte for each request would collect its heap every few requests.
 */

/** Freeing a smaller buffer costs more than it saves. */
export const leastFreedBytes = 4 * 1024;

/** How many users of a shared buffer are not done yet. */
const users = new WeakMap<ArrayBufferLike, number>();

/** Frees the memory of a buffer. A buffer that was freed or transferred before is ignored, and so is shared memory. */
export function freeBuffer(buffer: ArrayBufferLike): void {
  // `transfer` moves the bytes to a new buffer of this length, and frees the rest.
  if (buffer instanceof ArrayBuffer && buffer.byteLength >= leastFreedBytes) buffer.transfer(0);
}

/** Declares that a buffer has `count` users. Each of them calls freeBytes at most once; the last call frees it. */
export function shareBuffer(buffer: ArrayBufferLike, count: number): void {
  users.set(buffer, count);
}

/**
 * One user is done with these bytes. Frees their buffer if it has no other users: it was not shared and has no other
 * bytes, or this was the last of its users.
 */
export function freeBytes({ buffer, byteOffset, byteLength }: ArrayBufferView): void {
  const left = users.get(buffer);
  if (left === undefined) {
    if (byteOffset === 0 && byteLength === buffer.byteLength) freeBuffer(buffer);
    return;
  }
  users.set(buffer, left - 1);
  if (left === 1) freeBuffer(buffer);
}
