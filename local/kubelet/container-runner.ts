/**
 * One container of one pod, through all its runs.
 * Owns: the record of the container, its process, its probes and the logs of the last two runs. pod-plan.ts decides
 * when `start` is called.
 * Ends: after `stop`, no process of the container runs, and `start` does nothing.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../api/errors.ts';
import { toApiTime } from '../../api/conditions.ts';
import { afterRestart, type BackoffLimits } from './backoff.ts';
import { containerDir, prepareLaunch, type Launch } from './container-launch.ts';
import { ContainerLog } from './container-log.ts';
import { startProcess, type ProcessEnd, type RunningProcess } from './container-process.ts';
import { restartsAtStart, type ContainerRecord, type ContainerPhase } from './container-record.ts';
import type { KubeletDeps } from './kubelet-deps.ts';
import { lastWordsOfLog } from './log-output.ts';
import { askContainer } from './probe-container.ts';
import { Prober } from './prober.ts';
import { defaultGraceSeconds, type Container, type StoredPod, type TerminatedState } from './pod.ts';
import { doubledMs } from '../../lib/retry.ts';

/** The number of bytes to which Kubernetes truncates a termination message from the file. */
const messageLimitBytes = 4096;
/** The number of bytes to which Kubernetes truncates a termination message from the log. */
const logMessageLimit = 2048;
const retryMs = 1000;

export type RunnerDeps = {
  readonly kubelet: KubeletDeps;
  /** Returns the pod as it is stored at the time of the call. */
  readonly pod: () => StoredPod;
  readonly podIp: () => string;
  /** Called after each change of the record. */
  readonly changed: () => void;
};

export class ContainerRunner {
  readonly container: Container;
  readonly #deps: RunnerDeps;
  record: ContainerRecord;
  #pullAttempts = 0;
  #starting: Promise<void> | undefined;
  #running: { readonly process: RunningProcess; readonly done: Promise<void> } | undefined;
  #prober: Prober | undefined;
  #log: ContainerLog | undefined;
  #previousLog: ContainerLog | undefined;
  #stopped = false;

  constructor(container: Container, record: ContainerRecord, deps: RunnerDeps) {
    this.container = container;
    this.record = record;
    this.#deps = deps;
  }

  /**
   * True from the decision to start until the process exists. While it is true, the plan must not start the container
   * again.
   */
  get busy(): boolean {
    return this.#starting !== undefined;
  }

  log(previous: boolean): ContainerLog | undefined {
    return previous ? this.#previousLog : this.#log;
  }

  start(): void {
    if (this.#stopped || this.#starting !== undefined || this.#running !== undefined) return;
    this.#starting = this.#start()
      // An error of the start, for example on a full disk, must not end the kubelet.
      .catch((error: unknown) => this.#block('CreateContainerError', messageOf(error), retryMs))
      .finally(() => {
        this.#starting = undefined;
        this.#deps.changed();
      });
  }

  /**
   * Sends SIGTERM, then SIGKILL after `graceMs`. Resolves when no process of the container runs. A second call may have
   * a shorter grace period.
   */
  async stop(graceMs: number): Promise<void> {
    this.#stopped = true;
    await this.#starting;
    await this.#end(graceMs);
  }

  removeLogs(): void {
    this.#log?.remove();
    this.#previousLog?.remove();
  }

  async #start(): Promise<void> {
    const { kubelet, pod, podIp } = this.#deps;
    const outcome = prepareLaunch(kubelet, pod(), this.container, podIp());
    if (outcome.kind === 'launch') return this.#launch(outcome.launch);
    if (outcome.kind === 'no-image') return this.#waitForImage(outcome.problem);
    if (outcome.kind === 'no-command') return this.#neverRan(outcome.problem);
    this.#event('Warning', 'Failed', `Error: ${outcome.problem}`);
    this.#block('CreateContainerConfigError', outcome.problem, retryMs);
  }

  async #launch(launch: Launch): Promise<void> {
    const { kubelet, pod } = this.#deps;
    const next = this.#nextRun();
    const log = this.#openLog(next.restarts);
    const id = `${pod().metadata.uid}-${this.container.name}-${next.restarts}`;
    const process = await startProcess(kubelet.processes, {
      id,
      ...launch,
      onOutput: (stream, text) => log.write(stream, text),
    });
    if ('problem' in process) return this.#neverRan(process.problem);
    const nowMs = kubelet.clock.now();
    this.#pullAttempts = 0;
    this.#event('Normal', 'Started', `Started container ${this.container.name}`);
    this.#prober = this.#beginProbes(launch);
    const containerId = `process://${process.pid}`;
    this.record = {
      ...next,
      phase: { kind: 'running', startedMs: nowMs, containerId },
      started: this.#prober.started,
      ready: this.#prober.ready,
    };
    const done = process.exited.then((end) => this.#onExit(end, { launch, startedMs: nowMs, containerId }));
    this.#running = { process, done };
  }

  async #onExit(end: ProcessEnd, run: { launch: Launch; startedMs: number; containerId: string }): Promise<void> {
    this.#prober?.close();
    this.#log?.end();
    this.#running = undefined;
    const message = await this.#lastWords(end, run.launch.terminationLog).catch(() => '');
    this.#exited(end, {
      startedAt: toApiTime(run.startedMs),
      containerID: run.containerId,
      ...(message === '' ? {} : { message }),
    });
    this.#deps.changed();
  }

  /** Records a run that the container runtime could not start. */
  #neverRan(problem: string): void {
    this.#log?.end();
    this.#event('Warning', 'Failed', `Error: ${problem}`);
    this.record = { ...this.record, ...this.#nextRun() };
    this.#exited({ exitCode: 128, signal: undefined, reason: 'StartError' }, { message: problem });
  }

  /** The fields that describe the previous runs, for the record of the next run. */
  #nextRun(): Pick<ContainerRecord, 'restarts' | 'last' | 'backoff'> {
    const { phase, last, backoff } = this.record;
    const restarts = restartsAtStart(this.record);
    if (phase.kind !== 'exited') return { restarts, last, backoff };
    const { clock, backoff: limits } = this.#deps.kubelet;
    return { restarts, last: phase.end, backoff: afterRestart(backoff, phase.endedMs, clock.now(), limits) };
  }

  #exited(end: ProcessEnd, more: Partial<TerminatedState>): void {
    const nowMs = this.#deps.kubelet.clock.now();
    const terminated: TerminatedState = {
      exitCode: end.exitCode,
      ...(end.signal === undefined ? {} : { signal: end.signal }),
      reason: end.reason,
      finishedAt: toApiTime(nowMs),
      ...more,
    };
    this.record = {
      ...this.record,
      phase: { kind: 'exited', end: terminated, endedMs: nowMs },
      started: false,
      ready: false,
    };
  }

  #waitForImage(problem: string): void {
    const { kubelet } = this.#deps;
    const step = nextPullStep(this.record.phase, this.container.image, problem, {
      attempts: this.#pullAttempts,
      limits: kubelet.backoff,
    });
    if (step.attempted) {
      this.#pullAttempts += 1;
      this.#event('Normal', 'Pulling', `Pulling image "${this.container.image}"`);
    }
    this.#event('Warning', step.attempted ? 'Failed' : 'BackOff', step.message);
    this.#block(step.reason, step.message, step.waitMs);
  }

  #block(reason: string, message: string, waitMs: number): void {
    const { phase, last } = this.record;
    const retryAtMs = this.#deps.kubelet.clock.now() + waitMs;
    this.record = {
      ...this.record,
      phase: { kind: 'blocked', reason, message, retryAtMs },
      last: phase.kind === 'exited' ? phase.end : last,
    };
  }

  #openLog(run: number): ContainerLog {
    const { kubelet, pod } = this.#deps;
    this.#previousLog?.remove();
    this.#previousLog = this.#log;
    this.#log = new ContainerLog(join(containerDir(kubelet.dataDir, pod(), this.container), 'logs', String(run)), () =>
      kubelet.clock.now(),
    );
    return this.#log;
  }

  #beginProbes(launch: Launch): Prober {
    const { kubelet, podIp } = this.#deps;
    const target = { container: this.container, podIp: podIp(), exec: launch };
    return new Prober(this.container, {
      clock: kubelet.clock,
      ask: (probe, timeoutMs) => askContainer(probe, target, timeoutMs),
      onChange: ({ started, ready }) => {
        this.record = { ...this.record, started, ready };
        this.#deps.changed();
      },
      onUnhealthy: (kind, why) =>
        this.#event(
          'Warning',
          'Unhealthy',
          `${kind === 'startup' ? 'Startup' : kind === 'liveness' ? 'Liveness' : 'Readiness'} probe failed: ${why}`,
        ),
      onGaveUp: (kind, probe) => {
        this.#event('Normal', 'Killing', `Container ${this.container.name} failed ${kind} probe, will be restarted`);
        void this.#end(
          (probe.terminationGracePeriodSeconds ??
            this.#deps.pod().spec.terminationGracePeriodSeconds ??
            defaultGraceSeconds) * 1000,
        );
      },
    });
  }

  async #end(graceMs: number): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    running.process.signal(graceMs > 0 ? 'SIGTERM' : 'SIGKILL');
    const callOff = this.#deps.kubelet.clock.after(graceMs, () => running.process.signal('SIGKILL'));
    await running.done;
    callOff();
  }

  async #lastWords(end: ProcessEnd, file: string): Promise<string> {
    const message = readStart(file, messageLimitBytes);
    if (
      message !== '' ||
      end.exitCode === 0 ||
      this.container.terminationMessagePolicy !== 'FallbackToLogsOnError' ||
      this.#log === undefined
    )
      return message;
    return lastWordsOfLog(this.#log, logMessageLimit);
  }

  #event(type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#deps.kubelet.events.record(this.#deps.pod(), type, reason, message);
  }
}

/** The first `limitBytes` bytes of the file; empty when the file does not exist. */
function readStart(file: string, limitBytes: number): string {
  try {
    const fd = openSync(file, 'r');
    const bytes = Buffer.alloc(limitBytes);
    const count = readSync(fd, bytes, 0, limitBytes, 0);
    closeSync(fd);
    return bytes.subarray(0, count).toString();
  } catch {
    return '';
  }
}

type PullStep = {
  readonly reason: 'ErrImagePull' | 'ImagePullBackOff';
  readonly message: string;
  readonly waitMs: number;
  /** True when a pull was tried; false while the container waits for the next pull. */
  readonly attempted: boolean;
};

/**
 * How long the status shows a failed pull before it shows the back-off: a tenth of the first wait, at most a second.
 */
function shownMs(limits: BackoffLimits): number {
  return Math.min(1000, limits.baseMs / 10);
}

/** The next state of a container whose image is missing. @param attempts the number of pulls that have failed before */
export function nextPullStep(
  phase: ContainerPhase,
  image: string,
  problem: string,
  { attempts, limits }: { readonly attempts: number; readonly limits: BackoffLimits },
): PullStep {
  if (phase.kind !== 'blocked' || phase.reason !== 'ErrImagePull')
    return { reason: 'ErrImagePull', message: problem, waitMs: shownMs(limits), attempted: true };
  const waitMs = doubledMs(limits, attempts);
  return {
    reason: 'ImagePullBackOff',
    message: `Back-off pulling image "${image}": ErrImagePull: ${problem}`,
    waitMs,
    attempted: false,
  };
}
