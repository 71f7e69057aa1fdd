/**
 * Python environments of the peers (other model servers, which are measured for comparison), one for each peer.
 * Owns: installing the versions of peers/pins.json into folders below the bench's cache. A complete environment has a
 * file with the versions that were installed, and is kept.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PeerName } from './commands.ts';

/** The environment's folder, or why there is none. */
export type PythonEnvironment = { readonly folder: string } | { readonly missing: string };

const run = promisify(execFile);
const installWithinMs = 900_000;
const pinsFile = join(import.meta.dirname, '..', 'peers', 'pins.json');

export async function environmentFor(
  peer: PeerName,
  cache: string,
  say: (line: string) => void,
): Promise<PythonEnvironment> {
  const pins = pinsOf(peer);
  const { python, packages } = pins;
  const folder = join(cache, 'peers', peer);
  const mark = join(folder, 'pins.json');
  if (existsSync(mark) && readFileSync(mark, 'utf8') === JSON.stringify(pins)) return { folder };
  say(`installing ${peer} with pip into ${folder}`);
  try {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    await run(python, ['-m', 'venv', folder], { timeout: installWithinMs });
    await run(join(folder, 'bin', 'pip'), ['install', '--quiet', ...packages], { timeout: installWithinMs });
    writeFileSync(mark, JSON.stringify(pins));
    return { folder };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    return { missing: whyMissing(error, python) };
  }
}

type Pins = {
  /** The Python program. PyTriton needs certain versions of Python. */
  readonly python: string;
  readonly packages: readonly string[];
};

export function pinsOf(peer: PeerName): Pins {
  return (JSON.parse(readFileSync(pinsFile, 'utf8')) as Record<PeerName, Pins>)[peer];
}

/** Why an environment could not be made: the last error of pip, or the last line of its output. */
export function whyMissing(error: unknown, python: string): string {
  const { code, stderr, killed } = error as { code?: unknown; stderr?: string; killed?: boolean };
  if (code === 'ENOENT') return `${python} is not installed`;
  if (killed === true) return `pip did not finish within ${installWithinMs / 60_000} minutes`;
  const lines = (stderr ?? '').split('\n').filter((line) => line.trim() !== '');
  const reason = lines.findLast((line) => line.startsWith('ERROR:')) ?? lines.at(-1) ?? String(error);
  return `it cannot be installed: ${reason.slice(0, 200)}`;
}
