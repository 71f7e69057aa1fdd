/**
 * The child process of a trial: loads one model, runs it on generated inputs, and ends.
 *
 * Owns:  one session of ONNX Runtime, so that its memory and its crashes stay in this process.
 * Ends:  by itself after the answer, with exit code 0 unless ONNX Runtime crashes.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { deserialize, serialize } from 'node:v8';
import { messageOf } from '../../../api/errors.ts';
import { outputDifference } from './compare-outputs.ts';
import { trialInputs, type TrialSample } from '../../engine/trial-inputs.ts';
import { openSession, runSession, type OrtSession } from '../../engine/ort-session.ts';
import type { NamedTensors } from '../../engine/tensor.ts';
import type { TrialMessage, TrialTask } from './trial-messages.ts';

type Made = { readonly sample: TrialSample; readonly outputs: NamedTensors };

async function tryModel(task: TrialTask): Promise<TrialMessage> {
  await say({ kind: 'loading' });
  if (task.pace !== undefined) return await paceInThread(task);
  const began = performance.now();
  let session: OrtSession;
  try {
    session = openSession(task);
  } catch (error) {
    return { kind: 'failed', why: messageOf(error) };
  }
  await say({ kind: 'loaded', loadMs: performance.now() - began });
  const answer =
    task.compareWith === undefined ? await runFresh(session, task) : await runAgain(session, task, task.compareWith);
  // The profile is written when the session is released.
  session.release();
  return answer;
}

/**
 * Measures in a thread of its own, as the server does: glibc gives memory to threads by other rules than to the first
 * thread of a process.
 */
function paceInThread(task: TrialTask): Promise<TrialMessage> {
  return new Promise((resolve, reject) => {
    const program = new URL(`./pace-thread${extname(import.meta.filename)}`, import.meta.url);
    const thread = new Worker(program, { workerData: task });
    thread.on('message', (message: TrialMessage) => {
      if (message.kind === 'loaded') void say(message);
      else resolve(message);
    });
    thread.on('error', reject);
  });
}

/** Runs generated inputs of the first size that the model accepts, with every number of rows that the model accepts. */
async function runFresh(session: OrtSession, task: TrialTask): Promise<TrialMessage> {
  let result: { made: Made[]; why?: string } = { made: [] };
  for (const fill of task.runs?.fills ?? []) {
    result = runFill(session, task.runs, fill);
    if (result.made.length > 0) break;
  }
  const { made, why } = result;
  if (task.writeTo !== undefined) await writeFile(task.writeTo, serialize(made));
  return { kind: 'done', made: made.map(({ sample }) => sample), ...(why === undefined ? {} : { why }) };
}

function runFill(session: OrtSession, runs: TrialTask['runs'], fill: number): { made: Made[]; why?: string } {
  const made: Made[] = [];
  let why: string | undefined;
  for (const [index, rows] of (runs?.rows ?? []).entries()) {
    const sample = { fill, rows, seed: index + 1 };
    const result = runOnce(session, sample, runs);
    if ('outputs' in result) made.push({ sample, outputs: result.outputs });
    else why = result.why;
  }
  return { made, ...(why === undefined ? {} : { why }) };
}

async function runAgain(session: OrtSession, { runs }: TrialTask, reference: string): Promise<TrialMessage> {
  const before = deserialize(await readFile(reference)) as readonly Made[];
  const made: TrialSample[] = [];
  for (const { sample, outputs } of before) {
    const result = runOnce(session, sample, runs);
    if (!('outputs' in result))
      return { kind: 'done', made, difference: `it fails on inputs that the original runs: ${result.why}` };
    made.push(sample);
    const difference = outputDifference(outputs, result.outputs);
    if (difference !== undefined) return { kind: 'done', made, difference };
  }
  return { kind: 'done', made };
}

function runOnce(
  session: OrtSession,
  sample: TrialSample,
  runs: TrialTask['runs'],
): { outputs: NamedTensors } | { why: string } {
  const inputs = trialInputs(runs?.inputs ?? [], sample);
  if (inputs === undefined) return { why: 'its inputs are too large to generate' };
  try {
    return { outputs: runSession(session, inputs, runs?.outputs ?? []) };
  } catch (error) {
    return { why: messageOf(error) };
  }
}

/**
 * Resolves when the message was sent. Wait for this, because the next step may block this thread for minutes or crash
 * the process.
 */
function say(message: TrialMessage): Promise<void> {
  const { send } = process;
  return new Promise((resolve) => {
    if (send === undefined) resolve();
    else send.call(process, message, () => resolve());
  });
}

// After a disconnect, the parent has ended or has received the answer: exit as soon as ONNX Runtime returns.
process.once('disconnect', () => process.exit(0));
process.once('message', (task: TrialTask) => {
  void tryModel(task)
    .catch((error: unknown): TrialMessage => ({ kind: 'failed', why: messageOf(error) }))
    .then(say)
    .finally(() => process.disconnect?.());
});
