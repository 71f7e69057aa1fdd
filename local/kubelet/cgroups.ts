/**
 * Limits a container by a control group of its own, where this machine allows it.
 * Owns: finding out whether groups can be made (version 2, else version 1), making a group for each container, and
 * reading whether the kernel killed a process of the group for memory.
 * Why: the kernel's limit is exact. Without a group, memory-watch.ts reads the memory of each process every 100 ms.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export type ContainerLimits = {
  readonly memoryBytes: number | undefined;
  /** The limit in CPU cores. */
  readonly cpu: number | undefined;
};

export interface ContainerGroup {
  /** Writing a process id into each of these files moves the process into the group. */
  readonly procsFiles: readonly string[];
  /** The number of processes in the group that the kernel killed for memory. */
  oomKills(): number;
  /** Kills every process in the control group, even a process that left its process group. */
  kill(): void;
  /** Removes the group. Call it when the group has no more processes. */
  remove(): void;
}

export interface Cgroups {
  readonly version: 1 | 2;
  /** @param name a unique and valid folder name */
  create(name: string, limits: ContainerLimits): ContainerGroup;
  remove(): void;
}

const periodUs = 100_000;

/**
 * The name of the folder with the groups that one process makes. The name contains the process id, which shows whether
 * the folder is still in use.
 */
export function groupName(pid: number, salt: number): string {
  return `onnx-local-${pid}-${salt}`;
}

const namePattern = /^onnx-local-(\d+)-\d+$/;

/**
 * @param own the text of /proc/self/cgroup
 * @param root where the control groups are mounted
 * @param name the name of the folder for the groups of this process (`groupName`)
 * @returns undefined where a memory group cannot be made
 */
export function openCgroups(own: string, root: string, name: string): Cgroups | undefined {
  return openVersion2(own, root, name) ?? openVersion1(own, root, name);
}

function openVersion2(own: string, root: string, name: string): Cgroups | undefined {
  const path = ownPath(own, '');
  if (path === undefined || !existsSync(join(root, 'cgroup.controllers'))) return undefined;
  // In version 2, a group that contains processes cannot have child groups with controllers. The group of this process
  // contains the process itself, so try its parent, too. The parent works when it was delegated to this user.
  for (const parent of new Set([join(root, path), dirname(join(root, path))])) {
    const base = join(parent, name);
    if (!parent.startsWith(root) || !tryMake(base)) continue;
    removeStale(parent);
    tryWrite(join(base, 'cgroup.subtree_control'), '+memory');
    tryWrite(join(base, 'cgroup.subtree_control'), '+cpu');
    const probe = join(base, 'probe');
    const usable = tryMake(probe) && existsSync(join(probe, 'memory.max'));
    tryRemove(probe);
    if (usable) return version2(base);
    tryRemove(base);
  }
  return undefined;
}

function version2(base: string): Cgroups {
  return {
    version: 2,
    create(name, { memoryBytes, cpu }) {
      const dir = join(base, name);
      mkdirSync(dir);
      if (memoryBytes !== undefined) {
        writeFileSync(join(dir, 'memory.max'), String(memoryBytes));
        tryWrite(join(dir, 'memory.swap.max'), '0');
        tryWrite(join(dir, 'memory.oom.group'), '1');
      }
      if (cpu !== undefined) tryWrite(join(dir, 'cpu.max'), `${quota(cpu)} ${periodUs}`);
      return containerGroup([dir], join(dir, 'memory.events'));
    },
    remove: () => removeWithChildren(base),
  };
}

/**
 * @param dirs the group's folder in each hierarchy
 * @param oomFile the file in which the kernel counts the processes that it killed
 */
function containerGroup(dirs: readonly string[], oomFile: string): ContainerGroup {
  const procsFiles = dirs.map((dir) => join(dir, 'cgroup.procs'));
  return {
    procsFiles,
    oomKills: () => countOf(oomFile),
    kill: () => procsFiles.slice(0, 1).forEach(killMembers),
    remove: () => dirs.forEach(tryRemove),
  };
}

function killMembers(procsFile: string): void {
  for (const pid of membersOf(procsFile)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // The process ended in the meantime.
    }
  }
}

function membersOf(procsFile: string): readonly number[] {
  try {
    return readFileSync(procsFile, 'utf8')
      .split('\n')
      .map(Number)
      .filter((pid) => pid > 1);
  } catch {
    return [];
  }
}

function openVersion1(own: string, root: string, name: string): Cgroups | undefined {
  const memory = versionOneBase(own, root, 'memory', name);
  if (memory === undefined) return undefined;
  const cpu = versionOneBase(own, root, 'cpu', name);
  return {
    version: 1,
    create(child, limits) {
      const memoryDir = join(memory, child);
      mkdirSync(memoryDir);
      if (limits.memoryBytes !== undefined) {
        writeFileSync(join(memoryDir, 'memory.limit_in_bytes'), String(limits.memoryBytes));
        tryWrite(join(memoryDir, 'memory.memsw.limit_in_bytes'), String(limits.memoryBytes));
      }
      const cpuDir =
        cpu === undefined || limits.cpu === undefined ? undefined : makeCpuGroup(join(cpu, child), limits.cpu);
      return containerGroup(
        [memoryDir, ...(cpuDir === undefined ? [] : [cpuDir])],
        join(memoryDir, 'memory.oom_control'),
      );
    },
    remove: () => [memory, cpu].forEach((dir) => dir !== undefined && removeWithChildren(dir)),
  };
}

function versionOneBase(own: string, root: string, controller: string, name: string): string | undefined {
  const path = ownPath(own, controller);
  if (path === undefined) return undefined;
  const limitFile = controller === 'memory' ? 'memory.limit_in_bytes' : 'cpu.cfs_quota_us';
  // In a container, /proc/self/cgroup contains the path on the host, but the group of this process is mounted at
  // `root`. Try both paths.
  for (const parent of [join(root, controller, path), join(root, controller)]) {
    const base = join(parent, name);
    if (!existsSync(parent) || !tryMake(base)) continue;
    removeStale(parent);
    if (existsSync(join(base, limitFile))) return base;
    tryRemove(base);
  }
  return undefined;
}

/** Removes the groups of earlier processes that were killed. They are empty, and no other process removes them. */
function removeStale(parent: string): void {
  for (const name of readdirSync(parent)) {
    const [, pid] = namePattern.exec(name) ?? [];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    removeWithChildren(join(parent, name));
  }
}

/**
 * Removes a group and its children if they are empty. A moment can pass between the end of a container and the end of
 * its last process; until then the kernel refuses to remove the group.
 */
function removeWithChildren(dir: string): void {
  if (!existsSync(dir)) return;
  for (const child of readdirSync(dir, { withFileTypes: true }))
    if (child.isDirectory()) tryRemove(join(dir, child.name));
  tryRemove(dir);
}

function makeCpuGroup(dir: string, cpu: number): string | undefined {
  if (!tryMake(dir)) return undefined;
  tryWrite(join(dir, 'cpu.cfs_period_us'), String(periodUs));
  tryWrite(join(dir, 'cpu.cfs_quota_us'), String(quota(cpu)));
  return dir;
}

/** The CPU quota in microseconds; the kernel's minimum is a millisecond. */
function quota(cpu: number): number {
  return Math.max(1000, Math.round(cpu * periodUs));
}

/**
 * The path of the group of this process in the hierarchy of a controller.
 * @param own the text of /proc/self/cgroup
 * @param controller '' for version 2, whose only hierarchy has no controller names
 */
function ownPath(own: string, controller: string): string | undefined {
  for (const line of own.split('\n')) {
    const [, names, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (names?.split(',').includes(controller)) return path;
  }
  return undefined;
}

/** The number in `oomFile`: both versions of control groups write `oom_kill N` on its own line. */
function countOf(file: string): number {
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync(file, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

function tryMake(dir: string): boolean {
  try {
    mkdirSync(dir);
    return true;
  } catch {
    return false;
  }
}

function tryWrite(file: string, text: string): void {
  try {
    // Write only into an existing file: the kernel creates the files of a group.
    writeFileSync(file, text, { flag: 'r+' });
  } catch {
    // The controller is not available, so its limit is not enforced.
  }
}

function tryRemove(dir: string): void {
  try {
    rmdirSync(dir);
  } catch {
    // A process in the group has not ended yet, or the group does not exist. A group that stays does no harm.
  }
}
