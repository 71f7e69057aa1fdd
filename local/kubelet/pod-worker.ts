/**
 * One pod on this node, from its address to its removal.
 * Owns: the pod's address and folders, all writes of its status, and a runner for each container. An event only
 * triggers a step; each step checks everything again.
 * Ends: when a pod is deleted, all its containers get SIGTERM, and SIGKILL after the grace period. Then its last status
 * is written, and the pod is removed from the API. `kill` ends the processes without writing to the API.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { messageOf } from '../../api/errors.ts';
import { podsPath } from '../workloads/resources.ts';
import type { ContainerLog } from './container-log.ts';
import { newRecord, recordAfterReboot, type ContainerRecord } from './container-record.ts';
import { ContainerRunner } from './container-runner.ts';
import { imageId } from './images.ts';
import { hostIp, podDir, type KubeletDeps } from './kubelet-deps.ts';
import { planPod } from './pod-plan.ts';
import { crashMessage, describePod } from './pod-status.ts';
import { nextStart } from './backoff.ts';
import { defaultGraceSeconds, isFinished, isSidecar, type Container, type StoredPod } from './pod.ts';
import { mountedConfigMaps, setUpVolumes } from './volumes.ts';

const setUpRetryMs = 1000;

/** The stage of the pod. An `over` pod has ended and only waits for its deletion. */
type Stage = 'new' | 'preparing' | 'running' | 'over' | 'stopping' | 'gone';

export class PodWorker {
  readonly #deps: KubeletDeps;
  readonly #runners: readonly ContainerRunner[];
  readonly #startedMs: number;
  readonly #onGone: () => void;
  #pod: StoredPod;
  #stage: Stage;
  #podIp: string | undefined;
  #stepAsked = false;
  #callOffRecheck: (() => void) | undefined;

  /** @param onGone called when the worker is finished */
  constructor(pod: StoredPod, deps: KubeletDeps, onGone: () => void) {
    this.#pod = pod;
    this.#deps = deps;
    this.#onGone = onGone;
    this.#startedMs = deps.clock.now();
    this.#stage = isFinished(pod) ? 'over' : 'new';
    const runnerDeps = {
      kubelet: deps,
      pod: () => this.#pod,
      podIp: () => this.#podIp ?? hostIp,
      changed: () => this.#ask(),
    };
    this.#runners = allContainers(pod).map(
      (container) => new ContainerRunner(container, this.#firstRecord(container), runnerDeps),
    );
    this.#ask();
  }

  /** Call it when the stored pod has changed. */
  update(pod: StoredPod): void {
    this.#pod = pod;
    this.#ask();
  }

  mounts(configMap: string): boolean {
    return mountedConfigMaps(this.#pod).includes(configMap);
  }

  /** Updates the mounted ConfigMaps. */
  refreshVolumes(): void {
    if (this.#stage !== 'running') return;
    try {
      setUpVolumes(this.#deps, this.#pod, this.#dir);
    } catch (error) {
      this.#warn('FailedMount', messageOf(error));
    }
  }

  log(container: string, previous: boolean): ContainerLog | undefined {
    return this.#runners.find((runner) => runner.container.name === container)?.log(previous);
  }

  /** Ends the processes and frees the pod's address and folders. Writes nothing to the API. */
  async kill(graceMs: number): Promise<void> {
    this.#stage = 'stopping';
    this.#callOffRecheck?.();
    await this.#stopAll(graceMs);
    this.#stage = 'gone';
    this.#release();
  }

  get #dir(): string {
    return podDir(this.#deps.dataDir, this.#pod);
  }

  #firstRecord(container: Container): ContainerRecord {
    const { status, spec } = this.#pod;
    // Without an address, the pod has never run on this node, so there is no run to restore. Its status may already
    // list containers that wait.
    if (status?.podIP === undefined) return newRecord;
    const before = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])].find(
      (one) => one.name === container.name,
    );
    const always = (spec.restartPolicy ?? 'Always') === 'Always' || !spec.containers.includes(container);
    return recordAfterReboot(before, always && !isFinished(this.#pod), this.#deps.clock.now());
  }

  #ask(): void {
    if (this.#stepAsked || this.#stage === 'gone') return;
    this.#stepAsked = true;
    setImmediate(() => {
      this.#stepAsked = false;
      this.#step();
    });
  }

  #step(): void {
    if (this.#stage === 'gone') return;
    if (this.#pod.metadata.deletionTimestamp !== undefined && this.#stage !== 'stopping') return this.#terminate();
    if (this.#stage === 'new') void this.#prepare();
    if (this.#stage === 'running') this.#startDue();
    if (this.#stage !== 'over') this.#publish();
  }

  #startDue(): void {
    const nowMs = this.#deps.clock.now();
    const plan = planPod(this.#pod.spec, this.#records(), nowMs, this.#deps.backoff);
    for (const { name } of plan.start) this.#runners.find((runner) => runner.container.name === name)?.start();
    this.#callOffRecheck?.();
    this.#callOffRecheck =
      plan.recheckAtMs === undefined ? undefined : this.#deps.clock.after(plan.recheckAtMs - nowMs, () => this.#ask());
    for (const runner of this.#runners) this.#tellOfBackoff(runner);
  }

  #tellOfBackoff({ container, record }: ContainerRunner): void {
    if (record.phase.kind !== 'exited') return;
    const { waitMs, atMs } = nextStart(record.backoff, record.phase.endedMs, this.#deps.backoff);
    if (waitMs > 0 && atMs > this.#deps.clock.now())
      this.#warn('BackOff', `Back-off ${crashMessage(this.#pod, container, waitMs).slice('back-off '.length)}`);
  }

  async #prepare(): Promise<void> {
    this.#stage = 'preparing';
    try {
      const ports = this.#pod.spec.containers.flatMap((container) =>
        (container.ports ?? []).map((port) => port.containerPort),
      );
      this.#podIp ??= await this.#deps.addresses.take(ports);
      if (this.#stage !== 'preparing') return this.#releaseAddress();
      mkdirSync(this.#dir, { recursive: true });
      setUpVolumes(this.#deps, this.#pod, this.#dir);
      this.#stage = 'running';
    } catch (error) {
      if (this.#stage !== 'preparing') return this.#releaseAddress();
      this.#warn(this.#podIp === undefined ? 'FailedCreatePodSandBox' : 'FailedMount', messageOf(error));
      this.#stage = 'new';
      this.#callOffRecheck = this.#deps.clock.after(setUpRetryMs, () => this.#ask());
      return;
    }
    this.#ask();
  }

  #terminate(): void {
    this.#stage = 'stopping';
    this.#callOffRecheck?.();
    const seconds =
      this.#pod.metadata.deletionGracePeriodSeconds ??
      this.#pod.spec.terminationGracePeriodSeconds ??
      defaultGraceSeconds;
    for (const { container, record } of this.#runners) {
      if (record.phase.kind === 'running')
        this.#deps.events.record(this.#pod, 'Normal', 'Killing', `Stopping container ${container.name}`);
    }
    void this.#stopAll(seconds * 1000)
      .then(() => {
        if (this.#stage === 'gone') return;
        this.#publish();
        this.#stage = 'gone';
        this.#release();
        const { name, namespace = '', uid } = this.#pod.metadata;
        if (this.#deps.objects.get({ ...podsPath, namespace, name })?.metadata.uid === uid)
          this.#deps.objects.delete({ ...podsPath, namespace, name }, { graceSeconds: 0 });
      })
      .catch((error: unknown) =>
        this.#deps.logger.warn('pod not removed', { pod: this.#pod.metadata.name, err: error }),
      );
  }

  /** Stops the main containers, then the sidecars. All containers share the same grace period. */
  async #stopAll(graceMs: number): Promise<void> {
    const startedAt = this.#deps.clock.monotonic();
    await Promise.all(
      this.#runners.filter((runner) => !isSidecar(runner.container)).map((runner) => runner.stop(graceMs)),
    );
    const leftMs = graceMs === 0 ? 0 : Math.max(1, graceMs - (this.#deps.clock.monotonic() - startedAt));
    await Promise.all(this.#runners.map((runner) => runner.stop(leftMs)));
  }

  #release(): void {
    this.#releaseAddress();
    try {
      for (const runner of this.#runners) runner.removeLogs();
      rmSync(this.#dir, { recursive: true, force: true });
    } catch (error) {
      // The folder stays. At its next start, the kubelet removes folders of deleted pods.
      this.#deps.logger.warn('pod folder was not removed', { pod: this.#pod.metadata.name, err: error });
    }
    this.#onGone();
  }

  #releaseAddress(): void {
    if (this.#podIp !== undefined) this.#deps.addresses.release(this.#podIp);
    this.#podIp = undefined;
  }

  #records(): ReadonlyMap<string, ContainerRecord> {
    // A container that is being started counts as running, so the plan does not start it again.
    return new Map(
      this.#runners.map((runner) => [
        runner.container.name,
        runner.busy
          ? { ...runner.record, phase: { kind: 'running', startedMs: 0, containerId: '' }, started: false }
          : runner.record,
      ]),
    );
  }

  #publish(): void {
    const { name, namespace = '', uid } = this.#pod.metadata;
    const stored = this.#deps.objects.get({ ...podsPath, namespace, name }) as StoredPod | undefined;
    if (stored?.metadata.uid !== uid) return;
    const status = describePod({
      pod: stored,
      records: new Map(this.#runners.map((runner) => [runner.container.name, runner.record])),
      podIp: this.#podIp,
      hostIp,
      startedMs: this.#startedMs,
      nowMs: this.#deps.clock.now(),
      stopping: this.#stage === 'stopping',
      limits: this.#deps.backoff,
      imageId: (image) => imageId(this.#deps.images, image),
    });
    try {
      this.#deps.objects.updateStatus(podsPath, { ...stored, status });
    } catch (error) {
      this.#deps.logger.warn('pod status was not written', { pod: name, namespace, err: error });
    }
    if (this.#stage !== 'running' || (status.phase !== 'Succeeded' && status.phase !== 'Failed')) return;
    this.#stage = 'over';
    this.#releaseAddress();
  }

  #warn(reason: string, message: string): void {
    this.#deps.events.record(this.#pod, 'Warning', reason, message);
  }
}

function allContainers(pod: StoredPod): readonly Container[] {
  return [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
}
