/**
 * A closed loop: each client sends its next request when its previous answer has arrived.
 * Owns: the length of the warm-up and of the measured time. After its requested length, the warm-up continues until as
 * many answers as clients have arrived, the measured time until twice as many. The rate of a server that answers in
 * batches of seconds would otherwise depend on chance. The maximum is `longestTimes` the requested measured time, for
 * each of the two.
 */
import { cpuSecondsOf } from '../../support/usage.ts';
import { Connection } from './connection.ts';
import type { Job, LoadReport } from './job.ts';
import { Tally } from './tally.ts';

const longestTimes = 5;
const pollMs = 20;
/** The longest wait for the last answers. */
export const drainMs = 15_000;

export async function closedLoop(job: Job & { readonly kind: 'closed' }): Promise<LoadReport> {
  const connections = Array.from({ length: job.clients }, () => new Connection(job.port));
  const tally = new Tally();
  let next = 0;
  let isOver = false;
  let answers = 0;
  const loop = async (connection: Connection): Promise<void> => {
    while (!isOver) {
      const at = performance.now();
      const request = job.requests[next++ % job.requests.length] ?? new Uint8Array();
      tally.count(await connection.send(request), performance.now() - at);
      answers += 1;
    }
  };
  const loops = connections.map(loop);
  const untilAnswers = async (least: number, ms: number, longestMs: number): Promise<void> => {
    const [before, beganMs] = [answers, performance.now()];
    await sleep(ms);
    while (answers - before < least && performance.now() - beganMs < longestMs) await sleep(pollMs);
  };
  const longestMs = job.ms * longestTimes;
  await untilAnswers(job.clients, job.warmMs, longestMs);
  tally.begin(cpuSecondsOf(job.pids));
  await untilAnswers(2 * job.clients, job.ms, longestMs);
  const report = tally.end(cpuSecondsOf(job.pids));
  isOver = true;
  // Wait for the last answers: the server's remaining work would slow the next measurement.
  await Promise.race([Promise.all(loops), sleep(drainMs)]);
  for (const connection of connections) connection.close();
  await Promise.all(loops);
  return report;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
