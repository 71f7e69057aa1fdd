/**
 * Runs a batch that the pool put into the mailbox, the memory that the pool and a worker share.
 *
 * Owns: what happens when such a batch cannot be answered in the mailbox: its outputs are too large, it fails, or its
 *       outputs do not have one row for each row of input. Its result then crosses as a message.
 */
import { freeBytes } from '../../lib/free-bytes.ts';
import type { FlatBatch, MailboxReceiver } from './mailbox.ts';
import {
  feedsOf,
  fetchesOf,
  ownTensorOf,
  runFeeds,
  runSession,
  type OrtSession,
  type OrtTensor,
} from './ort-session.ts';
import type { EngineResult, PartResult } from './port.ts';
import { failedPart, runApart, splitRows } from './rows.ts';

/**
 * Runs the batch that is in the mailbox, and writes its result there.
 * @param now milliseconds of a monotonic clock
 * @returns undefined when the result is in the mailbox, otherwise a function that makes the result
 */
export function runFlat(
  session: OrtSession,
  mailbox: MailboxReceiver,
  now: () => number,
): (() => Promise<EngineResult>) | undefined {
  const began = now();
  let batch: FlatBatch | undefined;
  let results: Readonly<Record<string, OrtTensor>>;
  try {
    batch = mailbox.take();
    results = runFeeds(session, feedsOf(batch.inputs), fetchesOf(batch.outputs));
  } catch (error) {
    if (batch === undefined) return () => Promise.reject(error instanceof Error ? error : new Error(String(error)));
    const { rows } = batch;
    if (rows.length > 1) return apart(session, batch, began, now);
    return () => Promise.resolve({ parts: [failedPart(error)], inferMs: now() - began, together: true });
  }
  const { outputs, rows } = batch;
  const total = rows.reduce((sum, count) => sum + count, 0);
  const wholes = outputs.map((name) => results[name]);
  if (rows.length > 1 && wholes.some((whole) => whole?.dims[0] !== total)) return apart(session, batch, began, now);
  const inferMs = now() - began;
  if (wholes.every((whole) => whole !== undefined) && mailbox.put(wholes, inferMs)) {
    for (const { data } of wholes) if (ArrayBuffer.isView(data)) freeBytes(data);
    return undefined;
  }
  return () => Promise.resolve({ parts: partsOf(batch, results), inferMs, together: true });
}

function partsOf({ outputs, rows }: FlatBatch, results: Readonly<Record<string, OrtTensor>>): readonly PartResult[] {
  const whole = Object.fromEntries(outputs.map((name) => [name, ownTensorOf(name, results[name])]));
  const pieces = rows.length === 1 ? [whole] : splitRows(whole, rows);
  return (pieces ?? []).map((piece) => ({ kind: 'Done', outputs: piece }));
}

function apart(session: OrtSession, batch: FlatBatch, began: number, now: () => number): () => Promise<EngineResult> {
  const { inputs, outputs, rows } = batch;
  return async () => {
    const parts = await runApart(splitRows(inputs, rows) ?? [], outputs, (part, names) =>
      runSession(session, part, names),
    );
    return { parts, inferMs: now() - began, together: false };
  };
}
