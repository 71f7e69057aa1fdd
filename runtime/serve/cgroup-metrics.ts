/**
 * Metrics of the memory of the container, as the kernel counts it.
 *
 * Owns: their names and help. They are read at each scrape; a metric without a value is left out, because not every
 *       kernel reports every number.
 */
import { Gauge, type Registry } from 'prom-client';
import { readCgroupMemory, type CgroupMemory, type ReadFile } from '../config/cgroup.ts';

const helps = {
  maxBytes: ['cgroup_memory_max_bytes', "Smallest memory limit of the container's cgroup and its parents."],
  currentBytes: ['cgroup_memory_current_bytes', "Memory of the container's cgroup, including files in the page cache."],
  limitHits: ['cgroup_memory_limit_hits', 'How often the cgroup reached its memory limit.'],
  killed: ['cgroup_memory_killed', 'How many processes of the cgroup the kernel killed for lack of memory.'],
  someSeconds: ['cgroup_memory_pressure_some_seconds', 'Time in which a task of the cgroup waited for memory (PSI).'],
  fullSeconds: [
    'cgroup_memory_pressure_full_seconds',
    'Time in which all tasks of the cgroup waited for memory (PSI).',
  ],
} as const satisfies Readonly<Record<keyof CgroupMemory, readonly [string, string]>>;

export function collectCgroup(registry: Registry, read: ReadFile): void {
  for (const [field, [name, help]] of Object.entries(helps) as [keyof CgroupMemory, readonly [string, string]][])
    void new Gauge({
      name: `onnx_runtime_${name}`,
      help,
      registers: [registry],
      collect() {
        const value = readCgroupMemory(read)[field];
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
}
