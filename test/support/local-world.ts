/**
 * Local mode's controllers, kubelet and router over objects in memory, for tests: without HTTP, with shortened waits.
 * Owns: a temporary folder and everything that is started in it; `end` stops everything and removes the folder.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { createObjects } from '../../local/api-server/core.ts';
import { startControlPlane, type ControlPlane, type ControlPlaneDeps } from '../../local/control-plane.ts';
import type { Image } from '../../local/kubelet/images.ts';
import type { Container, StoredPod } from '../../local/kubelet/pod.ts';
import type { StoredObject, Objects, ResourcePath } from '../../local/objects.ts';
import { podsPath, servicesPath, type StoredService } from '../../local/workloads/resources.ts';

export const programs: ReadonlyMap<string, Image> = new Map([
  ['test/program', { entrypoint: [process.execPath, join(import.meta.dirname, 'programs', 'program.mjs')] }],
]);

export class LocalWorld {
  readonly dir: string;
  readonly objects: Objects;
  #plane: ControlPlane | undefined;
  readonly #options: Partial<ControlPlaneDeps>;

  constructor(options: Partial<ControlPlaneDeps> = {}) {
    this.#options = options;
    this.dir = mkdtempSync(join(tmpdir(), 'onnx-local-test-'));
    this.objects = options.objects ?? createObjects({ clock: systemClock });
    this.start();
  }

  get plane(): ControlPlane {
    assert.ok(this.#plane !== undefined, "the test's control plane is stopped");
    return this.#plane;
  }

  /** Starts the control plane. After `stop`, it starts again with the same folder and objects. */
  start(): void {
    this.#plane = startControlPlane({
      clock: systemClock,
      logger: silentLogger,
      dataDir: this.dir,
      images: programs,
      backoff: { baseMs: 300, maxMs: 2000 },
      ...this.#options,
      objects: this.objects,
    });
  }

  async stop(): Promise<void> {
    await this.#plane?.close(500);
    this.#plane = undefined;
  }

  async end(): Promise<void> {
    await this.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }

  pod(name: string): StoredPod | undefined {
    return this.objects.get({ ...podsPath, namespace: 'default', name }) as StoredPod | undefined;
  }

  /** @param spec fields of the pod's spec in addition to the containers */
  createPod(
    name: string,
    containers: readonly Partial<Container>[],
    spec: Record<string, unknown> = {},
    labels: Record<string, string> = {},
  ): void {
    this.objects.create(podsPath, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', labels },
      spec: { containers: containers.map(container), terminationGracePeriodSeconds: 5, ...spec },
    });
  }

  createService(name: string, selector: Record<string, string>, targetPort: number | string = 8080): StoredService {
    const spec = { selector, ports: [{ port: 8080, targetPort }] };
    return this.objects.create(servicesPath, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: 'default' },
      spec,
    }) as StoredService;
  }

  /** Waits until the pod satisfies the check. Returns the pod. */
  podUntil(name: string, wanted: (pod: StoredPod) => boolean, what: string): Promise<StoredPod> {
    return this.until(
      podsPath,
      () => {
        const pod = this.pod(name);
        return pod !== undefined && wanted(pod) ? pod : undefined;
      },
      what,
    );
  }

  gone(name: string): Promise<true> {
    return this.until(podsPath, () => (this.pod(name) === undefined ? true : undefined), `pod ${name} to be gone`);
  }

  /** Calls `check` after each change of an object of this type until it returns a value. */
  until<T>(type: ResourcePath, check: () => T | undefined, what: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const first = check();
      if (first !== undefined) return resolve(first);
      const settle = (): void => {
        clearTimeout(timer);
        stop();
      };
      const timer = setTimeout(() => {
        settle();
        reject(
          new Error(`waited 15 s for ${what}; last: ${JSON.stringify(this.objects.list(type).map(brief), null, 1)}`),
        );
      }, 15_000);
      const stop = this.objects.watch(type, () => {
        const found = check();
        if (found === undefined) return;
        settle();
        resolve(found);
      });
    });
  }

  /** Waits until the pod's log contains the text. Returns the log. */
  async logUntil(name: string, text: string): Promise<string> {
    for (let tries = 0; tries < 500; tries += 1) {
      const log = await this.log(name);
      if (log.includes(text)) return log;
      await systemClock.sleep(20);
    }
    throw new Error(`the log of ${name} did not contain ${text}`);
  }

  async log(
    name: string,
    options: { container?: string; previous?: boolean; tailLines?: number; timestamps?: boolean } = {},
  ): Promise<string> {
    const { container: from = 'main', previous = false, timestamps = false } = options;
    const source = this.plane.kubelet.read(
      { namespace: 'default', name },
      {
        container: from,
        follow: false,
        previous,
        timestamps,
        signal: new AbortController().signal,
        ...(options.tailLines === undefined ? {} : { tailLines: options.tailLines }),
      },
    );
    if (source === undefined) return '';
    let text = '';
    for await (const bytes of source) text += Buffer.from(bytes).toString();
    return text;
  }
}

/** A container that runs the test program; `args` are its instructions. */
export function container(parts: Partial<Container> = {}): Container {
  return { name: 'main', image: 'test/program', ...parts };
}

function brief({ kind, metadata, spec, status }: StoredObject): object {
  return { kind, name: metadata.name, spec, status };
}
