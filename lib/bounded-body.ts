/**
 * Reads the body of an HTTP answer, up to a bound.
 * Limits: holds at most twice the bound, while the chunks are joined. When an answer is longer than the bound, its
 * connection is closed.
 */
import type { Readable } from 'node:stream';

/**
 * @returns undefined when the body is longer than `limitBytes`
 * @throws the stream's error when the connection breaks
 */
export async function readBounded(body: Readable, limitBytes: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes) {
      body.destroy();
      return undefined;
    }
    chunks.push(chunk);
  }
  const whole = new Uint8Array(sizeBytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
