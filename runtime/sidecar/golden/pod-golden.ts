/**
 * Watches the config of the pod's revision, and runs the golden set that it names: inputs that the pod must answer
 * before it gets traffic.
 *
 * Owns:  starting a new run when the config names another set. A retried rollout may use a corrected set, and the
 *        kubelet updates the mounted file without a restart of the pod.
 * Ends:  soon after `stop`, together with the current run.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { paths } from '../../../api/names.ts';
import type { GoldenResult } from '../../../api/report.ts';
import type { RuntimeConfig } from '../../../api/runtime-config.ts';
import { checkRuntimeConfig } from '../../config/revision-file.ts';
import { GoldenRunner, type GoldenRunDeps } from './golden-run.ts';

export type PodGoldenDeps = Omit<GoldenRunDeps, 'golden' | 'model' | 'task'>;

const lookMs = 5_000;
/** A config has a few KiB; a larger file is ignored. */
const configLimitBytes = 1 << 20;

export class PodGolden {
  readonly #deps: PodGoldenDeps;
  #peers: readonly string[] = [];
  #runner: GoldenRunner | undefined;
  #id: string | undefined;

  constructor(deps: PodGoldenDeps) {
    this.#deps = deps;
  }

  /**
   * @param peers addresses of the ready pods of stable, the revision that serves; empty when none of them is ready, or
   * when this pod belongs to stable itself
   */
  offer(peers: readonly string[]): void {
    this.#peers = peers;
    this.#runner?.offer(peers);
  }

  /** The result of the set that the config names; undefined before a config names a set. */
  result(): GoldenResult | undefined {
    return this.#runner?.result();
  }

  async run(stop: AbortSignal): Promise<void> {
    let ended = new AbortController();
    let running = Promise.resolve();
    while (!stop.aborted) {
      const config = podRuntimeConfig(this.#deps.configDir);
      if (config?.golden !== undefined && config.golden.id !== this.#id) {
        ended.abort();
        await running;
        ended = new AbortController();
        running = this.#start({ ...config, golden: config.golden }, AbortSignal.any([stop, ended.signal]));
      }
      await this.#deps.clock.sleep(lookMs, stop);
    }
    await running;
  }

  #start(
    { golden, name, task }: RuntimeConfig & { readonly golden: GoldenRunDeps['golden'] },
    stop: AbortSignal,
  ): Promise<void> {
    const runner = new GoldenRunner({ ...this.#deps, golden, model: name, task });
    this.#id = golden.id;
    this.#runner = runner;
    runner.offer(this.#peers);
    return runner.run(stop);
  }
}

/** The mounted config; undefined when it is missing or invalid, which the runtime reports as an error. */
export function podRuntimeConfig(configDir: string): RuntimeConfig | undefined {
  const file = join(configDir, paths.configFile);
  try {
    return statSync(file).size > configLimitBytes
      ? undefined
      : checkRuntimeConfig(JSON.parse(readFileSync(file, 'utf8')), file);
  } catch {
    return undefined;
  }
}
