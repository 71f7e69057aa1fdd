/**
 * Runs the pods of this node as child processes.
 * Owns: one worker for each pod that is assigned to the node, and the logs that the API server serves.
 * Rule: a new kubelet continues from the API's objects. It restarts the pods that ran before, as after a reboot of the
 * node, and removes the folders of pods that no longer exist.
 * Ends: `close` ends every container and every process that the kubelet started.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { StoredObject, LogOptions, LogSource } from '../objects.ts';
import { configMapsPath, podsPath } from '../workloads/resources.ts';
import { nodeName, podsDir, type KubeletDeps } from './kubelet-deps.ts';
import { readLog } from './log-output.ts';
import { PodWorker } from './pod-worker.ts';
import type { StoredPod } from './pod.ts';

/** Milliseconds between SIGTERM and SIGKILL for a pod that was removed from the API without a grace period. */
const forcedGraceMs = 1000;

export class Kubelet implements LogSource {
  readonly #deps: KubeletDeps;
  readonly #workers = new Map<string, PodWorker>();
  readonly #unwatch: readonly (() => void)[];
  #closed = false;

  constructor(deps: KubeletDeps) {
    this.#deps = deps;
    this.#unwatch = [
      deps.objects.watch(podsPath, ({ type, object }) =>
        type === 'DELETED' ? this.#removed(object as StoredPod) : this.#seen(object as StoredPod),
      ),
      deps.objects.watch(configMapsPath, ({ object }) => this.#configChanged(object)),
    ];
    const known = deps.objects.list(podsPath) as readonly StoredPod[];
    removeOrphans(deps.dataDir, new Set(known.map((pod) => pod.metadata.uid)));
    for (const pod of known) this.#seen(pod);
  }

  /** The number of pods that have processes, folders or addresses on this node. */
  get podCount(): number {
    return this.#workers.size;
  }

  read(
    pod: { readonly namespace: string; readonly name: string },
    options: LogOptions,
  ): AsyncIterable<Uint8Array> | undefined {
    const stored = this.#deps.objects.get({ ...podsPath, ...pod });
    const log =
      stored === undefined
        ? undefined
        : this.#workers.get(stored.metadata.uid)?.log(options.container, options.previous);
    return log === undefined ? undefined : readLog(log, options);
  }

  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    for (const stop of this.#unwatch) stop();
    await Promise.all([...this.#workers.values()].map((worker) => worker.kill(graceMs)));
  }

  #seen(pod: StoredPod): void {
    if (this.#closed) return;
    const { uid, deletionTimestamp, name, namespace = '' } = pod.metadata;
    const worker = this.#workers.get(uid);
    if (worker !== undefined) return worker.update(pod);
    if (pod.spec.nodeName === nodeName) {
      this.#workers.set(uid, new PodWorker(pod, this.#deps, () => this.#workers.delete(uid)));
    } else if (pod.spec.nodeName === undefined && deletionTimestamp !== undefined) {
      // Remove a deleted pod without a node here, because it has no worker that would remove it.
      setImmediate(() => this.#deps.objects.delete({ ...podsPath, namespace, name }, { graceSeconds: 0 }));
    }
  }

  #removed(pod: StoredPod): void {
    const worker = this.#workers.get(pod.metadata.uid);
    void worker
      ?.kill(forcedGraceMs)
      .catch((error: unknown) => this.#deps.logger.warn('pod not ended', { pod: pod.metadata.name, err: error }));
  }

  #configChanged({ metadata }: StoredObject): void {
    for (const pod of this.#deps.objects.list(podsPath, { namespace: metadata.namespace ?? '' })) {
      const worker = this.#workers.get(pod.metadata.uid);
      if (worker?.mounts(metadata.name) === true) setImmediate(() => worker.refreshVolumes());
    }
  }
}

function removeOrphans(dataDir: string, known: ReadonlySet<string>): void {
  const dir = podsDir(dataDir);
  if (!existsSync(dir)) return;
  for (const uid of readdirSync(dir)) if (!known.has(uid)) rmSync(join(dir, uid), { recursive: true, force: true });
}
