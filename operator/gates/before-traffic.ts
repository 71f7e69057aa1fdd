/**
 * Checks whether a candidate may get traffic.
 *
 * Terms: A golden set is a set of inputs, each a case, that every pod of a candidate must answer well before it gets
 * traffic. `prepare` is the init container, which fetches and checks the model. A provider is an execution provider of
 * ONNX Runtime, such as CPU or CUDA.
 * Owns: the checks that need no traffic, their order (I/O signature, provider, golden set) and their messages.
 * `prepare` has already checked the model and its memory. Every ready pod must pass, because a model may be correct on
 * one CPU and wrong on another. A pod without a report delays the rollout, but the rollout does not fail.
 * Pure.
 */
import type { Resolved } from '../../api/last-words.ts';
import { ioChange, type SchemaPolicy } from '../../api/model-io.ts';
import type { GoldenResult, Report } from '../../api/report.ts';
import type { GoldenConfig } from '../../api/runtime-config.ts';
import type { RevisionRecord } from '../resources/objects.ts';
import type { Checks } from '../rollout/state.ts';
import { goldenName, goldenSentence, isGood, worstOf } from '../golden/golden-score.ts';

export type ReadyPod = {
  readonly name: string;
  /** The latest report; undefined before the first report. */ readonly report: Report | undefined;
};

export type Candidate = {
  readonly record: RevisionRecord;
  readonly pods: readonly ReadyPod[];
  /**
   * The serving revision; absent if the candidate is the first revision. `canAnswer`: the serving revision has ready
   * pods, or is likely to have them again soon.
   */
  readonly stable?: { readonly record: RevisionRecord | undefined; readonly canAnswer: boolean };
};

type Look = (candidate: Candidate) => Checks | undefined;

/** The checks in their order. A check returns undefined when the candidate passes. */
const looks: readonly Look[] = [unresolved, signatureChanged, unheard, providerFallback, goldenSet];

export function checkBeforeTraffic(candidate: Candidate): Checks {
  for (const look of looks) {
    const found = look(candidate);
    if (found !== undefined) return found;
  }
  const said = [goldenPassed(candidate), fallbackAllowed(candidate)].filter((sentence) => sentence !== undefined);
  return {
    verdict: 'Pass',
    reason: 'ChecksPassed',
    message: said.length === 0 ? 'all checks before traffic have passed' : said.join('; '),
  };
}

function unresolved({ record }: Candidate): Checks | undefined {
  return record.resolved === undefined
    ? waiting('ReportMissing', 'no pod has reported its resolved model yet')
    : undefined;
}

function signatureChanged({ record, stable }: Candidate): Checks | undefined {
  const policy = record.spec.model.schemaPolicy ?? 'Compatible';
  const [own, other] = [record.resolved, stable?.record?.resolved];
  if (own === undefined || other === undefined) return undefined;
  const change = changeBetween(other, own, policy);
  return change === undefined ? undefined : fail('SignatureChanged', `${change} (spec.model.schemaPolicy: ${policy})`);
}

function changeBetween(other: Resolved, own: Resolved, policy: SchemaPolicy): string | undefined {
  if (policy === 'Any' || own.signature === other.signature) return undefined;
  return own.io === undefined || other.io === undefined
    ? "the I/O signature differs from the stable revision's; the difference is unknown"
    : ioChange(other.io, own.io, policy);
}

function unheard({ pods }: Candidate): Checks | undefined {
  if (pods.length === 0) return waiting('ReportMissing', 'no pod is ready to be checked');
  const silent = pods.filter(({ report }) => report === undefined).map(({ name }) => name);
  return silent.length === 0
    ? undefined
    : waiting(
        'ReportMissing',
        `${silent.length} of ${pods.length} ready pods have not reported yet: ${silent.slice(0, 3).join(', ')}`,
      );
}

function providerFallback(candidate: Candidate): Checks | undefined {
  if (candidate.record.spec.execution.fallbackPolicy !== 'Forbid') return undefined;
  const said = fallbackOf(candidate);
  return said === undefined ? undefined : fail('ProviderFallback', `${said} (spec.execution.fallbackPolicy: Forbid)`);
}

function fallbackAllowed(candidate: Candidate): string | undefined {
  return candidate.record.spec.execution.fallbackPolicy === 'Warn' ? fallbackOf(candidate) : undefined;
}

/** Describes the first pod on which a provider other than the spec's first provider runs nodes of the model. */
function fallbackOf({ record, pods }: Candidate): string | undefined {
  const wanted = record.spec.execution.providers[0]?.name ?? 'CPU';
  return pods.map((pod) => otherProvider(pod, wanted, record)).find((said) => said !== undefined);
}

function otherProvider({ name, report }: ReadyPod, wanted: string, { resolved }: RevisionRecord): string | undefined {
  const actual = report?.providers?.actual ?? [];
  const other = actual.find((use) => use.provider !== wanted && use.nodes > 0);
  if (other !== undefined)
    return `${percent(other.nodes)} of the nodes run on ${other.provider} instead of ${wanted} on pod ${name}`;
  // If the pod did not report which providers run the model, use the provider with which `prepare` created the session.
  return actual.length > 0 || resolved === undefined || resolved.provider === wanted
    ? undefined
    : `the model runs on ${resolved.provider} instead of ${wanted}`;
}

function goldenSet(candidate: Candidate): Checks | undefined {
  const { golden } = candidate.record;
  if (golden === undefined) return undefined;
  const found = candidate.pods
    .map((pod) => goldenOf(pod, golden.config, candidate))
    .filter((checks) => checks !== undefined);
  // One failed pod is enough to fail the check, so a Fail comes before the pods that have not answered yet.
  return found.find(({ verdict }) => verdict === 'Fail') ?? found[0];
}

/** @returns undefined when the pod has passed */
function goldenOf({ name, report }: ReadyPod, config: GoldenConfig, candidate: Candidate): Checks | undefined {
  const result = report?.golden;
  if (result?.id !== config.id) return goldenWaiting(config, `pod ${name} has not started the golden run`);
  switch (result.state) {
    case 'Broken':
      return fail('GoldenSetInvalid', `${result.problem ?? `${goldenName(config)}: cannot be run`} (pod ${name})`);
    case 'Waiting':
      return goldenWaiting(config, `pod ${name} is waiting: ${result.problem ?? 'the run has not started'}`);
    case 'Running':
      return goldenWaiting(config, `pod ${name} has run ${result.done} of ${result.n} cases`);
    case 'Done':
      return doneWith(result, { config, candidate, name });
  }
}

type Held = { readonly config: GoldenConfig; readonly candidate: Candidate; readonly name: string };

function doneWith(result: GoldenResult, { config, candidate, name }: Held): Checks | undefined {
  if (!isGood(result, config)) return fail('GoldenFailed', `${goldenSentence(result, config)} (pod ${name})`);
  return lacksTruth(result, candidate)
    ? goldenWaiting(config, `pod ${name} has not compared its answers with stable's yet`)
    : undefined;
}

/**
 * True when stable can answer, but some answers of the candidate were not compared with stable's answers yet. False
 * when stable is down, because the candidate may be the fix. False with schemaPolicy Any, because the inputs of the two
 * revisions may differ.
 */
function lacksTruth({ n, compared = n }: GoldenResult, { record, stable }: Candidate): boolean {
  return compared < n && stable?.canAnswer === true && record.spec.model.schemaPolicy !== 'Any';
}

/** The reason is ChecksRunning for generated inputs and GoldenWaiting for a golden set of the user. */
function goldenWaiting(config: GoldenConfig, what: string): Checks {
  return waiting(
    config.source.kind === 'Generated' ? 'ChecksRunning' : 'GoldenWaiting',
    `${goldenName(config)}: ${what}`,
  );
}

/** The sentence about the golden result of the pod with the worst score. */
function goldenPassed({ record: { golden }, pods }: Candidate): string | undefined {
  if (golden === undefined) return undefined;
  const worst = worstOf(
    pods.map(({ report }) => report?.golden).filter((result) => result !== undefined),
    golden.config,
  );
  return worst === undefined ? undefined : goldenSentence(worst, golden.config);
}

function fail(reason: Checks['reason'], message: string): Checks {
  return { verdict: 'Fail', reason, message };
}

function waiting(reason: Checks['reason'], message: string): Checks {
  return { verdict: 'Waiting', reason, message };
}

function percent(share: number): string {
  return share > 0 && share < 0.01 ? 'less than 1%' : `${Math.round(share * 100)}%`;
}
