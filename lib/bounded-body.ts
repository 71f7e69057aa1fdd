/**
 * Reads what another process answers, up to a bound.
 *
 * Limits: never holds more than the bound and one chunk; a longer answer is cut off at its socket.
 */
import type { Readable } from 'node:stream';

/**
 * @returns undefined when there is more than `limitBytes`
 * @throws the stream's error when the answer breaks off
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
