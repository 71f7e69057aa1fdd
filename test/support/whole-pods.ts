/**
 * Complete pods of one model: the containers prepare (fetches the model), runtime (serves it) and sidecar (reports the
 * pod's state) as processes on their own addresses, as a kubelet runs them.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseLastWords, type Resolved } from '../../api/last-words.ts';
import { env, nativeEnvironment, paths } from '../../api/names.ts';
import type { GoldenConfig, RuntimeConfig } from '../../api/runtime-config.ts';
import type { Model } from '../../runtime/onnx/build.ts';
import { givenToken, writeAccess } from './door.ts';
import { givenConfig } from './model-server.ts';
import { writeModel } from './onnx-models.ts';

const main = fileURLToPath(new URL('../../runtime/main.ts', import.meta.url));

export type WholePod = { readonly address: string; readonly resolved: Resolved };

export class WholePods {
  readonly #folder: string;
  /**
   * The second number of the pods' loopback addresses 127.x. Each pod has its own address, so all can use the real
   * ports.
   */
  readonly #network: number;
  readonly #children: ChildProcess[] = [];
  #last = 0;

  private constructor(folder: string, network: number) {
    this.#folder = folder;
    this.#network = network;
  }

  /** @param network second number of the addresses; each test file uses its own */
  static async begin(network: number): Promise<WholePods> {
    return new WholePods(await mkdtemp(join(tmpdir(), 'whole-pods-')), network);
  }

  get folder(): string {
    return this.#folder;
  }

  async end(): Promise<void> {
    for (const child of this.#children.splice(0)) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  /**
   * Runs a pod's containers: `prepare` to its end, then the runtime and the sidecar together.
   * @param files the files of the revision's ConfigMap in addition to the config
   */
  async start(model: Model, golden: GoldenConfig, files: Readonly<Record<string, string>> = {}): Promise<WholePod> {
    this.#last += 1;
    const address = `127.${this.#network}.${process.pid % 250}.${this.#last}`;
    const at = (name: string): string => join(this.#folder, address, name);
    for (const name of ['config', 'cache', 'source']) await mkdir(at(name), { recursive: true });
    const path = await writeModel(at('source'), model);
    const config: RuntimeConfig = { ...givenConfig(), golden, source: { uri: pathToFileURL(path).href, variants: [] } };
    await writeFile(join(at('config'), paths.configFile), JSON.stringify(config));
    await writeAccess(at('config'), givenToken, 1);
    for (const [name, text] of Object.entries(files)) await writeFile(join(at('config'), name), text);
    const environment = {
      ...nativeEnvironment,
      [env.podIp]: address,
      [env.configDir]: at('config'),
      [env.cacheDir]: at('cache'),
      [env.terminationLog]: at('words'),
      [env.allowFile]: 'true',
    };
    const [code] = (await once(this.#run('prepare', environment), 'exit')) as [number];
    assert.equal(code, 0, await readFile(at('words'), 'utf8'));
    const words = parseLastWords(await readFile(at('words'), 'utf8'));
    assert.ok(words?.kind === 'resolved');
    this.#run('run', environment);
    this.#run('sidecar', environment);
    return { address, resolved: words.resolved };
  }

  #run(container: string, environment: NodeJS.ProcessEnv): ChildProcess {
    const child = spawn(process.execPath, [main, container], { env: environment, stdio: 'ignore' });
    this.#children.push(child);
    return child;
  }
}
