/**
 * Writes an answer at the pace of its client.
 *
 * Owns:   the pieces in which a large answer goes out, and the budget that it holds until its last byte has gone.
 * Ends:   with the response's `close`; a client that does not take its answer at the pace of transfers.ts loses its
 *         connection.
 */
import type { ServerResponse } from 'node:http';
import type { Answer } from '../../call/answer.ts';
import type { Transfers } from './transfers.ts';

/** What the socket holds beside what is in the kernel; also the unit in which a client's pace is seen. */
const pieceBytes = 64 * 1024;

/** The head has been written; the response is not destroyed. Never rejects. */
export function sendBody(
  response: ServerResponse,
  { chunks, bytes }: Answer,
  transfers: Pick<Transfers, 'lease'>,
): void {
  const lease = transfers.lease();
  lease.take(bytes);
  const watch = lease.watch(() => response.destroy());
  response.once('close', () => {
    watch.done();
    lease.end();
  });
  if (bytes > pieceBytes) {
    void sendPieces(response, chunks, watch.moved);
    return;
  }
  const [first, ...rest] = chunks;
  if (rest.length === 0) {
    response.end(first);
    return;
  }
  response.cork();
  for (const chunk of chunks) response.write(chunk);
  response.end();
  response.uncork();
}

async function sendPieces(
  response: ServerResponse,
  chunks: Answer['chunks'],
  moved: (bytes: number) => void,
): Promise<void> {
  for (const chunk of chunks) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      if (response.destroyed) return;
      const piece = bytes.subarray(at, at + pieceBytes);
      if (!response.write(piece)) await drained(response);
      moved(piece.length);
    }
  }
  response.end();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      response.off('drain', go).off('close', go);
      resolve();
    };
    response.on('drain', go).on('close', go);
  });
}
