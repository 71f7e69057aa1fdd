/**
 * The load generator as a child process.
 * Owns: the process; `close` ends it.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Job, LoadReport } from './job.ts';

const program = fileURLToPath(new URL('generator.ts', import.meta.url));

export class GeneratorProcess {
  readonly #child: ChildProcess = fork(program, { serialization: 'advanced' });

  /** Runs one job at a time. @throws Error when the generator ended */
  run(job: Job): Promise<LoadReport> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error('the load generator ended before it reported'));
      child.once('exit', ended);
      child.once('message', (report) => {
        child.off('exit', ended);
        resolve(report as LoadReport);
      });
      child.send(job);
    });
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}
