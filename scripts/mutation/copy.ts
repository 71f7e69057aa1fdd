/**
 * A copy of the working tree in a temporary folder. A mutant (a small change that makes the program wrong) may change
 * files in it.
 * Owns: the folder. Its files are hard links where the file system allows them, and node_modules is a symbolic link. A
 * file is changed by replacing it with a new file, so the working tree never changes.
 */
import { spawn } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export type TestRun = { readonly kind: 'Passed' | 'Failed' | 'Late'; readonly output: string; readonly ms: number };

export class TreeCopy {
  readonly root: string;
  readonly #from: string;
  /** Kills the tests that currently run. */
  #kill: () => void = () => {};

  private constructor(from: string, root: string) {
    this.#from = from;
    this.root = root;
  }

  /** @param files the paths of the files, relative to the root of the tree */
  static make(from: string, files: readonly string[]): TreeCopy {
    const root = mkdtempSync(join(tmpdir(), 'mutation-'));
    for (const file of files) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      link(join(from, file), join(root, file));
    }
    symlinkSync(join(from, 'node_modules'), join(root, 'node_modules'));
    return new TreeCopy(from, root);
  }

  /** Replaces the text of a file. @returns a function that restores the old text */
  change(path: string, text: string): () => void {
    const target = join(this.root, path);
    unlinkSync(target);
    writeFileSync(target, text);
    return () => {
      unlinkSync(target);
      link(join(this.#from, path), target);
    };
  }

  /** Runs test files in a separate mocha process, up to the first failure. */
  test(files: readonly string[], limitMs: number, { bail = true } = {}): Promise<TestRun> {
    const beganMs = performance.now();
    const flags = [
      '--no-config',
      '--require',
      './scripts/node-guard.cjs',
      '--timeout',
      '20000',
      '--exit',
      ...(bail ? ['--bail'] : []),
    ];
    const child = spawn(process.execPath, ['node_modules/mocha/bin/mocha.js', ...flags, ...files], {
      cwd: this.root,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    const hear = (bytes: Buffer): void => {
      output = (output + bytes.toString()).slice(-20_000);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    // mocha has a process group of its own (`detached`), so the kill also ends processes that the tests started.
    this.#kill = (): void => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
    };
    return new Promise((resolve) => {
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        this.#kill();
      }, limitMs);
      child.on('close', (code) => {
        clearTimeout(timer);
        this.#kill = () => {};
        resolve({ kind: late ? 'Late' : code === 0 ? 'Passed' : 'Failed', output, ms: performance.now() - beganMs });
      });
    });
  }

  remove(): void {
    this.#kill();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Makes a hard link, or a copy when the target is on another file system. */
function link(from: string, to: string): void {
  if (statSync(from).isDirectory()) return cpSync(from, to, { recursive: true });
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
