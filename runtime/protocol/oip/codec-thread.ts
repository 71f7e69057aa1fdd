/**
 * The codec thread: parses and prints bodies that would block the HTTP thread for too long.
 *
 * Owns: only its heap. It uses neither the model nor the engine, so it may be ended at any time.
 */
import { setPriority } from 'node:os';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { AppError } from '../../../api/errors.ts';
import { buffersOf } from '../../engine/messages.ts';
import { decodeInfer } from './decode.ts';
import { encodeInfer } from './encode.ts';
import { joinEncoded, type CodecAnswer, type CodecSetup, type CodecTask } from './codec-messages.ts';

const utf8 = new TextEncoder();

function serve(port: MessagePort, { nice }: CodecSetup): void {
  if (nice > 0) setPriority(0, nice);
  port.on('message', (task: CodecTask) => {
    try {
      const answer = work(task);
      port.postMessage(answer, answer.kind === 'Decoded' ? buffersOf([answer.request.inputs]) : buffersIn(answer));
    } catch (error) {
      // An error that is not an AppError is a bug: it ends this thread and is logged.
      if (!(error instanceof AppError)) throw error;
      port.postMessage({ kind: 'Refused', code: error.code, params: error.params } satisfies CodecAnswer);
    }
  });
}

function work(task: CodecTask): CodecAnswer {
  if (task.kind === 'decode') return { kind: 'Decoded', request: decodeInfer(task.body, task.jsonBytes, task.limits) };
  const { chunks, ...rest } = joinEncoded(encodeInfer(task.response));
  // Encode strings as bytes, which can be transferred: a string would be copied, and encoded on the HTTP thread.
  return {
    kind: 'Encoded',
    encoded: { ...rest, chunks: chunks.map((chunk) => (typeof chunk === 'string' ? utf8.encode(chunk) : chunk)) },
  };
}

function buffersIn(answer: CodecAnswer): ArrayBuffer[] {
  if (answer.kind !== 'Encoded') return [];
  const buffers = answer.encoded.chunks.flatMap((chunk) =>
    typeof chunk === 'string' || !(chunk.buffer instanceof ArrayBuffer) ? [] : [chunk.buffer],
  );
  return [...new Set(buffers)];
}

if (parentPort !== null) serve(parentPort, workerData as CodecSetup);
