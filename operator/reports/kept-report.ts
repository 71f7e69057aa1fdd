/**
 * The part of a report that the operator keeps, and the part that the status shows.
 *
 * Limits: a kept report has at most about 10 KiB; api/parse-report.ts bounds its texts and lists.
 * Pure.
 */
import { present } from '../../api/present.ts';
import type { Report } from '../../api/report.ts';
import { cut } from '../../api/text.ts';

/** The status shows the peak of memory in sixteenths of the limit, so that the status changes rarely. */
export const memorySteps = 16;
/** Maximum length of a kept text in characters. Our own sidecar sends shorter texts. */
const textLimit = 2000;

/**
 * Removes the counts and unknown fields. They can take a megabyte for each pod, and the operator may watch ten thousand
 * pods. The counts are not needed once the listeners of the puller (onReport) were called.
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

/** Peak memory in bytes, rounded up to a sixteenth of the limit; undefined when the report has no limit. */
export function memoryPeakStep(report: Report): number | undefined {
  const limitBytes = report.memory?.limitBytes;
  if (report.memory === undefined || limitBytes === undefined || limitBytes === null || limitBytes === 0)
    return undefined;
  const stepBytes = limitBytes / memorySteps;
  return Math.ceil(report.memory.peakBytes / stepBytes) * stepBytes;
}

/**
 * A text of all fields that the status shows or a decision waits for. If two reports in a row have the same text, the
 * second report needs a pass only when it has new blocks during a rollout.
 */
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
    // These fields are included because decisions before traffic wait for the golden run (the answers to test inputs).
    report.golden?.id,
    report.golden?.state,
    // The score is included because a second golden run, which compares with stable's answers once stable's pods are
    // known, changes only the score.
    report.golden?.score,
  ]);
}
