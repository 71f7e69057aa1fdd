/**
 * The real kubectl, run by tests against their own server.
 * Owns: one folder with a kubeconfig and kubectl's cache, and the flags that make kubectl ignore the user's settings.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { kubeTool, type KubeVersion } from '../../scripts/kubectl.ts';

export type Result = { readonly code: number; readonly out: string; readonly err: string };

export class Kubectl {
  readonly #program: string;
  readonly #flags: readonly string[];
  readonly folder: string;

  constructor(version: KubeVersion, folder: string) {
    this.#program = kubeTool('kubectl', version);
    this.folder = folder;
    this.#flags = [
      '--kubeconfig',
      join(folder, 'kubeconfig'),
      '--cache-dir',
      join(folder, 'cache'),
      '--namespace',
      'work',
    ];
  }

  /**
   * @param stdin the input for `-f -`
   * @param editor the program that `kubectl edit` runs
   */
  run(args: readonly string[], stdin?: string, editor = 'true'): Promise<Result> {
    return new Promise((resolve) => {
      const child = execFile(
        this.#program,
        [...this.#flags, ...args],
        { timeout: 30_000, env: { ...process.env, KUBE_EDITOR: editor } },
        (error, out, err) => {
          resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err });
        },
      );
      child.stdin?.end(stdin ?? '');
    });
  }

  /** @returns stdout. Fails the test when the command fails */
  async ok(args: readonly string[], stdin?: string): Promise<string> {
    const { code, out, err } = await this.run(args, stdin);
    assert.equal(code, 0, `kubectl ${args.join(' ')}: ${err}`);
    return out;
  }

  follow(args: readonly string[]): { readonly output: () => string; readonly end: () => Promise<void> } {
    const child = spawn(this.#program, [...this.#flags, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => void (text += chunk.toString('utf8')));
    return {
      output: () => text,
      async end() {
        if (child.exitCode !== null) return;
        const exited = once(child, 'exit');
        child.kill();
        await exited;
      },
    };
  }
}
