/**
 * Reads the body of an HTTP answer, up to a bound.
 * Limits: holds at most the bound and one chunk. When an answer is longer, its connection is closed.
 */
import type { IncomingMessage } from 'node:http';

/**
 * @returns undefined when the body is longer than `limitBytes`
 * @throws the stream's error when the connection breaks
 */
export async function readBounded(
  response: IncomingMessage,
  limitBytes: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes) {
      response.destroy();
      return undefined;
    }
    chunks.push(chunk);
  }
  const body = new Uint8Array(sizeBytes);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}
