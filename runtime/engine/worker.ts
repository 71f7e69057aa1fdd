/**
 * One worker thread with one session of ONNX Runtime.
 *
 * Owns:  the session, which it loads at once, uses for one batch or step at a time, and releases on request. It also
 *        owns the state of the sequences. The session has its own thread because a run blocks the thread until the run
 *        ends. Between batches the thread waits in the mailbox (mailbox.ts), not in its event loop.
 * Ends:  by itself after the session is released and the port is closed. Terminating the thread during a run would end
 *        the whole process, because ONNX Runtime's binding throws into the dying thread.
 */
import { setPriority } from 'node:os';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { messageOf } from '../../api/errors.ts';
import { freeBuffer } from '../../lib/free-bytes.ts';
import { runFlat } from './flat-runs.ts';
import { MailboxReceiver } from './mailbox.ts';
import { buffersOf, resultInMailbox, type FromWorker, type ToWorker, type WorkerTask } from './messages.ts';
import { openSession, runSession, type OrtSession } from './ort-session.ts';
import type { EngineResult, StepResult } from './port.ts';
import { runParts, type RunOnce } from './rows.ts';
import { SequenceStates } from './sequence-states.ts';

/** Between batches the event loop gets a turn at least once in this many milliseconds, for V8's own delayed tasks. */
const turnMs = 1000;

function serve(port: MessagePort, task: WorkerTask): void {
  // On Linux each thread has its own priority, and ONNX Runtime's threads inherit it. With their lower priority, the
  // HTTP thread gets a CPU at once, however many workers are busy.
  if (task.nice > 0) setPriority(0, task.nice);
  const say = (message: FromWorker, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);
  const began = performance.now();
  let session: OrtSession;
  try {
    session = openSession(task);
  } catch (error) {
    say({ kind: 'loadFailed', why: messageOf(error) });
    port.close();
    return;
  }
  const states = new SequenceStates();
  const run: RunOnce = (inputs, outputs) => runSession(session, inputs, outputs);
  const now = (): number => performance.now();
  let released = false;
  port.on('message', (message: ToWorker) => {
    if (message.kind === 'run') {
      const { parts, outputs } = message.batch;
      void answer(() => runParts(parts, outputs, run, now), say).then(() => {
        for (const buffer of buffersOf(parts)) freeBuffer(buffer);
      });
    } else if (message.kind === 'step') void answer(() => states.step(message.steps, run, now), say);
    else if (message.kind === 'release') {
      released = true;
      session.release();
      port.close();
    } else states.hear(message);
  });
  say({ kind: 'loaded', loadMs: performance.now() - began, mailbox: task.mailbox !== undefined });
  if (task.mailbox === undefined) return;
  const mailbox = new MailboxReceiver(task.mailbox);
  // Blocks the thread until a batch is in the mailbox. For a message, the event loop gets a turn. The answer to a
  // message is ready by the end of that turn, because runs are plain calls.
  const attend = (): void => {
    const turnEndsMs = now() + turnMs;
    while (!released && now() < turnEndsMs && mailbox.wait(turnMs) === 'batch') {
      const slow = runFlat(session, mailbox, now);
      if (slow === undefined) say(resultInMailbox);
      else void answer(slow, say);
      if (slow !== undefined) break;
    }
    if (!released) setImmediate(attend);
  };
  setImmediate(attend);
}

async function answer(
  work: () => Promise<EngineResult | StepResult>,
  say: (message: FromWorker, transfer?: ArrayBuffer[]) => void,
): Promise<void> {
  try {
    const result = await work();
    say({ kind: 'ran', result }, buffersOf(result.parts.map((part) => (part.kind === 'Done' ? part.outputs : {}))));
  } catch (error) {
    say({ kind: 'broke', why: messageOf(error) });
  }
}

if (parentPort !== null) serve(parentPort, workerData as WorkerTask);
