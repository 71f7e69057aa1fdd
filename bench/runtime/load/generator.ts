/**
 * The load generator: it sends requests from a separate process, so that its CPU time and its garbage collection are
 * not mixed with those of a server.
 * Use: only by generator-process.ts. Each message that it receives is a job; it answers each with a report.
 */
import { closedLoop } from './closed-loop.ts';
import type { Job } from './job.ts';
import { openLoop } from './open-loop.ts';

process.on('message', (job: Job) => {
  void (job.kind === 'closed' ? closedLoop(job) : openLoop(job)).then((report) => process.send?.(report));
});
process.on('disconnect', () => process.exit(0));
