/**
 * Plans how many workers serve a prepared model.
 *
 * Owns: the notes about a number that the memory limit changes, or for which it is too low. Pure.
 */
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import { formatBytes } from '../../api/units.ts';
import { fittingWorkers, planThreads, type Machine, type Threads } from '../engine/threads.ts';
import type { Prepared } from '../prepare/prepared.ts';

/**
 * Plans the number of workers by the profile in the spec, but not more workers than fit into memory. If the spec sets a
 * number of workers, that number is used, with a warning when so many workers do not fit.
 */
export function planWorkers(
  { execution }: RuntimeConfig,
  { resolved }: Prepared,
  machine: Machine & { readonly memoryBytes: number | undefined },
): { readonly threads: Threads; readonly notes: readonly string[] } {
  const threads = planThreads(execution, machine);
  const fitting = fittingWorkers(machine.memoryBytes, resolved.memoryEstimateBytes);
  if (threads.workers <= fitting) return { threads, notes: [] };
  const why =
    `${threads.workers} workers of about ${formatBytes(resolved.memoryEstimateBytes)} each do not fit into the ` +
    `memory limit of ${formatBytes(machine.memoryBytes ?? 0)}`;
  if (execution.workers !== undefined)
    return { threads, notes: [`${why}: requests may be refused for lack of memory`] };
  const reduced = planThreads({ ...execution, workers: fitting }, machine);
  return { threads: reduced, notes: [`${why}: the number of workers is reduced to ${fitting}`] };
}
