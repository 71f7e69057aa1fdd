/**
 * The tokenizer thread: reads requests that are too long for the HTTP thread.
 *
 * Owns:  its own copy of the tokenizer, and its jobs. A job reads one request. Jobs alternate every few milliseconds,
 *        so that a short job does not wait for a long job.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { AppError, messageOf } from '../../../api/errors.ts';
import { systemClock } from '../../../lib/clock.ts';
import { countParts, parsedBytes } from '../../protocol/json.ts';
import { Allowance } from './allowance.ts';
import { readRequest } from './read-request.ts';
import { Slice } from './slice.ts';
import { TextTokenizer } from './tokenizer.ts';
import type { Failure, FromThread, ThreadTask, ToThread } from './thread-messages.ts';

const sliceMs = 5;

if (parentPort === null) throw new Error('this file runs as a worker thread');
const port = parentPort;
const { rules, ...files } = workerData as ThreadTask;
/** The memory budget of the jobs that are being parsed or tokenised. */
const allowance = new Allowance();
const jobs = new Map<number, AbortController>();
const tokenizer = await load();

async function load(): Promise<TextTokenizer | undefined> {
  try {
    const loaded = await TextTokenizer.load(files.path, files.configPath);
    say({ kind: 'loaded', vocabulary: loaded.vocabulary });
    return loaded;
  } catch (error) {
    say({ kind: 'loadFailed', failure: failureOf(error) });
    return undefined;
  }
}

if (tokenizer !== undefined) {
  port.on('message', (message: ToThread) => {
    if (message.kind === 'ping') say({ kind: 'pong' });
    else if (message.kind === 'cancel') jobs.get(message.job)?.abort();
    else void read(message, tokenizer);
  });
}

async function read({ job, body, memoryBytes }: Extract<ToThread, { kind: 'read' }>, by: TextTokenizer): Promise<void> {
  const cancel = new AbortController();
  jobs.set(job, cancel);
  const giveBack = await allowance.take(parsedBytes(countParts(body, Infinity)), memoryBytes);
  try {
    cancel.signal.throwIfAborted();
    const request = await readRequest(body, by, rules, {
      slice: new Slice(systemClock, sliceMs),
      signal: cancel.signal,
      memoryBytes,
    });
    say({ kind: 'read', job, request }, [request.ids.buffer, request.ends.buffer]);
  } catch (error) {
    // Do not report the result of a cancelled job.
    if (!cancel.signal.aborted) say({ kind: 'refused', job, failure: failureOf(error) });
  } finally {
    giveBack();
    jobs.delete(job);
  }
}

/** An error that is sent to another thread loses its class, so its code and parameters are sent instead. */
function failureOf(error: unknown): Failure {
  return error instanceof AppError
    ? { code: error.code, params: error.params as AppError['params'] }
    : { message: messageOf(error) };
}

function say(message: FromThread, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}
