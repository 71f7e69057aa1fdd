/** A closed loop: each client sends its next request when its previous answer has arrived. */
import { cpuSecondsOf } from '../../support/usage.ts';
import { Connection } from './connection.ts';
import type { Job, LoadReport } from './job.ts';
import { Tally } from './tally.ts';

export async function closedLoop(job: Job & { readonly kind: 'closed' }): Promise<LoadReport> {
  const connections = Array.from({ length: job.clients }, () => new Connection(job.port));
  const tally = new Tally();
  let next = 0;
  let isOver = false;
  const loop = async (connection: Connection): Promise<void> => {
    while (!isOver) {
      const at = performance.now();
      const request = job.requests[next++ % job.requests.length] ?? new Uint8Array();
      tally.count(await connection.send(request), performance.now() - at);
    }
  };
  const loops = connections.map(loop);
  await sleep(job.warmMs);
  tally.begin(cpuSecondsOf(job.pids));
  await sleep(job.ms);
  const report = tally.end(cpuSecondsOf(job.pids));
  isOver = true;
  for (const connection of connections) connection.close();
  await Promise.all(loops);
  return report;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
