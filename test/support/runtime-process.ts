/**
 * The runtime as a child process: `runtime/main.ts` with any arguments and with the folders of a pod.
 * Owns: the children; `killPrograms` ends what a failed test left running.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nativeEnvironment } from '../../api/names.ts';
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import { givenConfig } from './model-server.ts';
import { eventually } from './eventually.ts';

const main = fileURLToPath(new URL('../../runtime/main.ts', import.meta.url));
/**
 * All pods use the same ports, so each pod needs its own address. The process id makes the address unique to this test
 * run.
 */
const { pid } = process;
export const podIp = `127.${10 + Math.floor(pid / 60_000)}.${Math.floor(pid / 250) % 250}.${1 + (pid % 250)}`;

export type Program = {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  /** The process's exit code; null after a signal. */ readonly ended: Promise<number | null>;
};

const children = new Set<ChildProcess>();

export function start(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Program {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !(name in nativeEnvironment)));
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...inherited, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve) =>
    child.on('close', (code) => {
      children.delete(child);
      resolve(code);
    }),
  );
  return { child, out: () => out, err: () => err, ended };
}

export function killPrograms(): void {
  for (const child of children) child.kill('SIGKILL');
}

export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  await eventually('the condition', holds);
}

/**
 * A pod's folders and environment.
 * @param source the model's folder, below `folder`
 */
export async function givenPod(
  folder: string,
  name: string,
  overrides: Partial<RuntimeConfig>,
  source = 'matmul',
): Promise<{ readonly environment: Record<string, string>; readonly log: string }> {
  const home = join(folder, name);
  const config = givenConfig({ source: { uri: `file://${join(folder, source)}/`, variants: [] }, ...overrides });
  const paths = { config: join(home, 'config'), cache: join(home, 'cache'), log: join(home, 'log') };
  await mkdir(paths.config, { recursive: true });
  await writeFile(join(paths.config, 'runtime.json'), JSON.stringify(config));
  await writeFile(paths.log, '');
  const environment = {
    POD_IP: podIp,
    ONNX_CONFIG_DIR: paths.config,
    ONNX_CACHE_DIR: paths.cache,
    ONNX_TERMINATION_LOG: paths.log,
    ONNX_ALLOW_FILE: 'true',
    ONNX_DRAIN_DELAY: '50ms',
  };
  return { environment, log: paths.log };
}
