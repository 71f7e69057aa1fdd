/**
 * What is kept of a report, and what of it is shown.
 *
 * Limits: without its counts a report is at most about 10 KiB; api/parse-report.ts bounds its words and lists.
 * Pure.
 */
import { present } from '../../api/present.ts';
import type { Report } from '../../api/report.ts';
import { cut } from '../../api/text.ts';

/** Memory is shown rounded up to this share of the limit, so that it changes by steps. */
export const memorySteps = 16;
/** Characters; what a sidecar writes is shorter. */
const textLimit = 2000;

/**
 * The fields that are read after a report was handed on. The counts, and fields that this reader does not know, can be
 * a megabyte; ten thousand pods are watched.
 */
export function withoutCounts(report: Report): Report {
  const { schema, bootId, seq, revision, providers, golden } = report;
  return {
    schema,
    bootId,
    seq,
    revision,
    ...pick(report, ['ready', 'cpuThrottledSeconds']),
    ...present({
      state: briefly(report.state),
      model: pickIn(report.model, ['digest', 'precision']),
      providers:
        providers === undefined
          ? undefined
          : {
              requested: providers.requested,
              actual: providers.actual.map((use) => pick(use, ['provider', 'nodes', 'time'])),
            },
      warmup: pickIn(report.warmup, ['done', 'wanted']),
      golden:
        golden === undefined
          ? undefined
          : {
              ...pick(golden, ['id', 'state', 'n', 'done', 'passed', 'score', 'worst', 'compared']),
              ...present({ problem: briefly(golden.problem) }),
            },
      memory: pickIn(report.memory, ['limitBytes', 'anonymousBytes', 'peakBytes', 'estimateBytes']),
      queue: pickIn(report.queue, ['depth', 'oldestMs']),
      eventLoopLagMs: pickIn(report.eventLoopLagMs, ['p50', 'p99', 'max']),
    }),
  };
}

function briefly(text: string | undefined): string | undefined {
  return text === undefined ? undefined : cut(text, textLimit);
}

function pick<T extends object, K extends keyof T>(value: T, names: readonly K[]): Pick<T, K> {
  return Object.fromEntries(
    names.filter((name) => value[name] !== undefined).map((name) => [name, value[name]]),
  ) as unknown as Pick<T, K>;
}

function pickIn<T extends object, K extends keyof T>(
  value: T | undefined,
  names: readonly K[],
): Pick<T, K> | undefined {
  return value === undefined ? undefined : pick(value, names);
}

/**
 * Peak memory rounded up to a sixteenth of the limit, in bytes; undefined when there is no limit to take a share of.
 */
export function memoryPeakStep(report: Report): number | undefined {
  const limitBytes = report.memory?.limitBytes;
  if (report.memory === undefined || limitBytes === undefined || limitBytes === null || limitBytes === 0)
    return undefined;
  const stepBytes = limitBytes / memorySteps;
  return Math.ceil(report.memory.peakBytes / stepBytes) * stepBytes;
}

/** What status shows of a report, or a decision waits for, as one string to compare. */
export function shownOf(report: Report): string {
  return JSON.stringify([
    report.revision,
    report.ready,
    report.model?.digest,
    report.model?.precision,
    report.providers?.requested,
    report.providers?.actual.map((use) => use.provider),
    report.memory?.limitBytes,
    memoryPeakStep(report),
    // What is to be known before a candidate gets traffic.
    report.golden?.id,
    report.golden?.state,
    // Done twice: stable was named after the first time.
    report.golden?.score,
  ]);
}
