/**
 * Control groups that the bench makes: a CPU quota or a memory limit for servers, and a group for a neighbour, which is
 * a process that keeps a CPU busy.
 * Owns: making and removing the groups, of cgroup v2 or v1. Making one needs root, or a delegated folder.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../api/errors.ts';

export type GroupLimits = { readonly cpus?: number | undefined; readonly memoryBytes?: number | undefined };

/** A file of a group, and what is written into it. */
export type GroupWrite = { readonly folder: string; readonly file: string; readonly text: string };

const root = '/sys/fs/cgroup';
const periodMicros = 100_000;

/** The writes that set the limits of a group. Pure. @param version of the machine's control groups */
export function writesFor(name: string, limits: GroupLimits, version: 1 | 2): readonly GroupWrite[] {
  const quota = limits.cpus === undefined ? undefined : String(Math.round(limits.cpus * periodMicros));
  const bytes = limits.memoryBytes === undefined ? undefined : String(limits.memoryBytes);
  if (version === 2) {
    const folder = join(root, name);
    return [
      ...(quota === undefined ? [] : [{ folder, file: 'cpu.max', text: `${quota} ${periodMicros}` }]),
      ...(bytes === undefined ? [] : [{ folder, file: 'memory.max', text: bytes }]),
    ];
  }
  const [cpu, memory] = [join(root, 'cpu', name), join(root, 'memory', name)];
  return [
    ...(quota === undefined
      ? []
      : [
          { folder: cpu, file: 'cpu.cfs_period_us', text: String(periodMicros) },
          { folder: cpu, file: 'cpu.cfs_quota_us', text: quota },
        ]),
    ...(bytes === undefined ? [] : [{ folder: memory, file: 'memory.limit_in_bytes', text: bytes }]),
  ];
}

export class ControlGroup {
  readonly #folders: readonly string[];

  private constructor(folders: readonly string[]) {
    this.#folders = folders;
  }

  /** @returns the group, or why it cannot be made on this machine */
  static make(name: string, limits: GroupLimits): ControlGroup | { readonly missing: string } {
    const version = existsSync(join(root, 'cgroup.controllers')) ? 2 : 1;
    const folders = version === 2 ? [join(root, name)] : [join(root, 'cpu', name), join(root, 'memory', name)];
    const group = new ControlGroup(folders);
    try {
      for (const folder of folders) mkdirSync(folder, { recursive: true });
      for (const { folder, file, text } of writesFor(name, limits, version)) writeFileSync(join(folder, file), text);
      return group;
    } catch (error) {
      void group.remove();
      return { missing: `control groups cannot be made here: ${messageOf(error)}` };
    }
  }

  /** A command line that runs the program in this group: a shell enters the group and then executes the program. */
  readonly command = (argv: readonly string[]): readonly string[] => {
    const enter = this.#folders.map((folder) => `echo $$ > '${join(folder, 'cgroup.procs')}'`).join(' && ');
    return ['/bin/sh', '-c', `${enter} && exec "$@"`, 'sh', ...argv];
  };

  /** The highest memory use, in MiB, with pages of files; undefined when the kernel does not report it. */
  peakMiB(): number | undefined {
    for (const [folder, file] of this.#folders.flatMap((one) =>
      ['memory.peak', 'memory.max_usage_in_bytes'].map((name) => [one, name] as const),
    )) {
      const text = existsSync(join(folder, file)) ? readFileSync(join(folder, file), 'utf8').trim() : '';
      if (/^\d+$/.test(text)) return Number(text) / 2 ** 20;
    }
    return undefined;
  }

  /** Removes the group when its last process has ended. Gives up after two seconds: an empty group costs nothing. */
  async remove(): Promise<void> {
    for (const folder of this.#folders)
      for (let tries = 40; tries > 0 && !isRemoved(folder); tries -= 1)
        await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function isRemoved(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch {
    return !existsSync(folder);
  }
}
