/**
 * Reads what another process answers, up to a bound.
 *
 * Limits: never holds more than the bound and one chunk; a longer answer is cut off at its socket.
 */
import type { IncomingMessage } from 'node:http';

/**
 * @returns undefined when there is more than `limitBytes`
 * @throws the stream's error when the answer breaks off
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
