/**
 * The CPU and memory limits of this process and its memory pressure, from files of cgroup v2 or v1. Pure except for
 * readKernelFile.
 *
 * Owns: finding the files of the process's group and of its parents. The limits of the parents also apply, so the
 *       smallest limit is used. A file that cannot be read means no limit.
 */
import { readFileSync } from 'node:fs';
import { present } from '../../api/present.ts';

export type CgroupLimits = {
  /** CPU quota in CPU seconds per second; absent when there is no quota. */
  readonly cpuQuota?: number;
  readonly memoryBytes?: number;
};

/** @returns the file's text; undefined when it cannot be read */
export type ReadFile = (path: string) => string | undefined;

export const readKernelFile: ReadFile = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

/**
 * A limit of at least this many bytes means "no limit", which cgroup v1 writes as the largest multiple of the page size
 * in 63 bits. Real limits are below 2 ** 60.
 */
const unlimitedBytes = 2 ** 60;
const root = '/sys/fs/cgroup';

export function readLimits(read: ReadFile): CgroupLimits {
  const groups = parseGroups(read('/proc/self/cgroup') ?? '');
  const cpu = smallest([
    ...folders(root, groups.unified).map((folder) => parseCpuMax(read(`${folder}/cpu.max`))),
    ...foldersV1('cpu', groups).map((folder) =>
      quotaV1(read(`${folder}/cpu.cfs_quota_us`), read(`${folder}/cpu.cfs_period_us`)),
    ),
  ]);
  const memory = smallest([
    ...folders(root, groups.unified).map((folder) => parseBytes(read(`${folder}/memory.max`))),
    ...foldersV1('memory', groups).map((folder) => parseBytes(read(`${folder}/memory.limit_in_bytes`))),
  ]);
  return { ...(cpu === undefined ? {} : { cpuQuota: cpu }), ...(memory === undefined ? {} : { memoryBytes: memory }) };
}

/**
 * Seconds for which the CPU quota throttled this group since its start; undefined when the kernel does not report it.
 */
export function readThrottledSeconds(read: ReadFile): number | undefined {
  const groups = parseGroups(read('/proc/self/cgroup') ?? '');
  for (const folder of [...folders(root, groups.unified), ...foldersV1('cpu', groups)]) {
    const text = read(`${folder}/cpu.stat`);
    const micros = /^throttled_usec (\d+)$/m.exec(text ?? '')?.[1];
    if (micros !== undefined) return Number(micros) / 1e6;
    const nanos = /^throttled_time (\d+)$/m.exec(text ?? '')?.[1];
    if (nanos !== undefined) return Number(nanos) / 1e9;
  }
  return undefined;
}

/** The memory of this process's group, by the kernel. A field is absent when the kernel does not report it. */
export type CgroupMemory = {
  /** The smallest limit of the group and its parents. */
  readonly maxBytes?: number;
  /** Memory of all processes of the group; files in the page cache count too. */
  readonly currentBytes?: number;
  /** How often the group reached its limit. */
  readonly limitHits?: number;
  /** How many processes of the group the kernel killed for lack of memory; only in v2. */
  readonly killed?: number;
  /**
   * Seconds since the group's start in which some, or all, of its tasks waited for memory (PSI); only in v2. The kernel
   * of v1 reports them for the whole node only.
   */
  readonly someSeconds?: number;
  readonly fullSeconds?: number;
};

export function readCgroupMemory(read: ReadFile): CgroupMemory {
  const groups = parseGroups(read('/proc/self/cgroup') ?? '');
  const v2 = folders(root, groups.unified);
  const v1 = foldersV1('memory', groups);
  const first = <T>(paths: readonly string[], parse: (text: string) => T | undefined): T | undefined =>
    paths.map(read).flatMap((text) => (text === undefined ? [] : (parse(text) ?? [])))[0];
  const of = (v2Name: string, v1Name: string): string[] => [
    ...v2.map((folder) => `${folder}/${v2Name}`),
    ...v1.map((folder) => `${folder}/${v1Name}`),
  ];
  const events = v2.map((folder) => `${folder}/memory.events`);
  const pressure = v2.map((folder) => `${folder}/memory.pressure`);
  return present({
    maxBytes: readLimits(read).memoryBytes,
    currentBytes: first(of('memory.current', 'memory.usage_in_bytes'), parseBytes),
    limitHits:
      first(events, (text) => entryOf(text, 'max')) ??
      first(
        v1.map((folder) => `${folder}/memory.failcnt`),
        parseBytes,
      ),
    killed: first(events, (text) => entryOf(text, 'oom_kill')),
    someSeconds: first(pressure, (text) => pressureSeconds(text, 'some')),
    fullSeconds: first(pressure, (text) => pressureSeconds(text, 'full')),
  });
}

/** A line of memory.events is "oom_kill 3". */
function entryOf(text: string, name: string): number | undefined {
  const value = new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
}

/** A line of memory.pressure is "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345"; the total has microseconds. */
function pressureSeconds(text: string, kind: 'some' | 'full'): number | undefined {
  const micros = new RegExp(`^${kind} .*total=(\\d+)$`, 'm').exec(text)?.[1];
  return micros === undefined ? undefined : Number(micros) / 1e6;
}

type Groups = { readonly unified?: string; readonly v1: ReadonlyMap<string, string> };

/** Lines are `0::/path` in v2 and `4:cpu,cpuacct:/path` in v1. A machine may have lines of both versions. */
export function parseGroups(text: string): Groups {
  const v1 = new Map<string, string>();
  let unified: string | undefined;
  for (const line of text.split('\n')) {
    const [, id, controllers, path] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined || controllers === undefined) continue;
    if (id === '0' && controllers === '') unified = path;
    for (const controller of controllers.split(',')) if (controller !== '') v1.set(controller, path);
  }
  return unified === undefined ? { v1 } : { unified, v1 };
}

/**
 * The group's folder and its parents, innermost first. If a container has its own cgroup namespace, the path is "/". If
 * not, the path names folders that are not mounted in the container. The container's group is then the root of the
 * mount, which is last in the list.
 */
function folders(base: string, path: string | undefined): string[] {
  if (path === undefined) return [];
  const steps = path.split('/').filter((step) => step !== '' && step !== '..');
  return Array.from({ length: steps.length + 1 }, (_, up) => [base, ...steps.slice(0, steps.length - up)].join('/'));
}

function foldersV1(controller: string, groups: Groups): string[] {
  const mounts = controller === 'cpu' ? ['cpu', 'cpu,cpuacct'] : [controller];
  return mounts.flatMap((mount) => folders(`${root}/${mount}`, groups.v1.get(controller)));
}

/** "150000 100000" means 1.5 CPUs. "max 100000" means no quota, and the result is undefined. */
export function parseCpuMax(text: string | undefined): number | undefined {
  const [, quota, period] = /^(\d+) (\d+)\s*$/.exec(text ?? '') ?? [];
  return quota === undefined || Number(period) === 0 ? undefined : Number(quota) / Number(period);
}

function quotaV1(quota: string | undefined, period: string | undefined): number | undefined {
  const micros = Number(quota ?? NaN);
  const per = Number(period ?? NaN);
  return micros > 0 && per > 0 ? micros / per : undefined;
}

function parseBytes(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? '';
  if (!/^\d+$/.test(trimmed)) return undefined;
  return Number(trimmed) >= unlimitedBytes ? undefined : Number(trimmed);
}

function smallest(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
