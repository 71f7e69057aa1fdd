/**
 * The load generator: a process of its own, so that its CPU time and its garbage are not those of a server.
 * Use: only by generator-process.ts. Each message is a job, each answer its report.
 */
import { closedLoop } from './closed-loop.ts';
import type { Job } from './job.ts';
import { openLoop } from './open-loop.ts';

process.on('message', (job: Job) => {
  void (job.kind === 'closed' ? closedLoop(job) : openLoop(job)).then((report) => process.send?.(report));
});
process.on('disconnect', () => process.exit(0));
