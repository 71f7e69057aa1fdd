/**
 * Whether a candidate may have traffic at all.
 *
 * Owns:  the checks that need no traffic, their order (I/O signature, provider, golden set; the model itself and its
 *        memory were `prepare`'s to refuse) and the sentence that tells how they came out.
 * Pure.
 * Rule:  every ready pod has to pass, for a model may be right on one CPU and wrong on another. A pod that has not
 *        reported is no information: it holds the rollout and fails nothing.
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
  /** The latest; undefined: it was not heard yet. */ readonly report: Report | undefined;
};

export type Candidate = {
  readonly record: RevisionRecord;
  readonly pods: readonly ReadyPod[];
  /**
   * The revision that serves; absent: this is the first. `canAnswer`: it has ready pods, or is expected to have some in
   * a moment.
   */
  readonly stable?: { readonly record: RevisionRecord | undefined; readonly canAnswer: boolean };
};

type Look = (candidate: Candidate) => Checks | undefined;

/** In this order: each is silent when it has nothing against the candidate. */
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
    ? waiting('ReportMissing', 'no pod has said yet what the model is made of')
    : undefined;
}

// ── I/O signature ──

function signatureChanged({ record, stable }: Candidate): Checks | undefined {
  const policy = record.spec.model.schemaPolicy ?? 'Compatible';
  const [mine, theirs] = [record.resolved, stable?.record?.resolved];
  if (mine === undefined || theirs === undefined) return undefined;
  const change = changeBetween(theirs, mine, policy);
  return change === undefined ? undefined : fail('SignatureChanged', `${change} (spec.model.schemaPolicy: ${policy})`);
}

function changeBetween(theirs: Resolved, mine: Resolved, policy: SchemaPolicy): string | undefined {
  if (policy === 'Any' || mine.signature === theirs.signature) return undefined;
  return mine.io === undefined || theirs.io === undefined
    ? "the I/O signature differs from the stable revision's; the difference is unknown"
    : ioChange(theirs.io, mine.io, policy);
}

// ── pods ──

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

// ── provider ──

function providerFallback(candidate: Candidate): Checks | undefined {
  if (candidate.record.spec.execution.fallbackPolicy !== 'Forbid') return undefined;
  const said = fallbackOf(candidate);
  return said === undefined ? undefined : fail('ProviderFallback', `${said} (spec.execution.fallbackPolicy: Forbid)`);
}

function fallbackAllowed(candidate: Candidate): string | undefined {
  return candidate.record.spec.execution.fallbackPolicy === 'Warn' ? fallbackOf(candidate) : undefined;
}

/** Which provider runs what the first one was asked to run, on the first pod where one does. */
function fallbackOf({ record, pods }: Candidate): string | undefined {
  const wanted = record.spec.execution.providers[0]?.name ?? 'CPU';
  return pods.map((pod) => otherProvider(pod, wanted, record)).find((said) => said !== undefined);
}

function otherProvider({ name, report }: ReadyPod, wanted: string, { resolved }: RevisionRecord): string | undefined {
  const actual = report?.providers?.actual ?? [];
  const other = actual.find((use) => use.provider !== wanted && use.nodes > 0);
  if (other !== undefined)
    return `${wanted} was asked for, ${other.provider} runs ${percent(other.nodes)} of the nodes on pod ${name}`;
  // Nothing was measured: what the session was made with.
  return actual.length > 0 || resolved === undefined || resolved.provider === wanted
    ? undefined
    : `${wanted} was asked for, ${resolved.provider} is used`;
}

// ── golden set ──

function goldenSet(candidate: Candidate): Checks | undefined {
  const { golden } = candidate.record;
  if (golden === undefined) return undefined;
  const found = candidate.pods
    .map((pod) => goldenOf(pod, golden.config, candidate))
    .filter((checks) => checks !== undefined);
  // One that fails is enough; the others need not be waited for.
  return found.find(({ verdict }) => verdict === 'Fail') ?? found[0];
}

/** @returns undefined when the pod has passed */
function goldenOf({ name, report }: ReadyPod, config: GoldenConfig, candidate: Candidate): Checks | undefined {
  const result = report?.golden;
  if (result?.id !== config.id) return goldenWaiting(config, `pod ${name} has not begun`);
  switch (result.state) {
    case 'Broken':
      return fail('GoldenSetInvalid', `${result.problem ?? `${goldenName(config)}: cannot be run`} (pod ${name})`);
    case 'Waiting':
      return goldenWaiting(config, `pod ${name} waits: ${result.problem ?? 'it has not begun'}`);
    case 'Running':
      return goldenWaiting(config, `${result.done} of ${result.n} cases are done on pod ${name}`);
    case 'Done':
      return doneWith(result, { config, candidate, name });
  }
}

type Held = { readonly config: GoldenConfig; readonly candidate: Candidate; readonly name: string };

function doneWith(result: GoldenResult, { config, candidate, name }: Held): Checks | undefined {
  if (!isGood(result, config)) return fail('GoldenFailed', `${goldenSentence(result, config)} (pod ${name})`);
  return lacksTruth(result, candidate)
    ? goldenWaiting(config, `pod ${name} is to compare its answers with stable's`)
    : undefined;
}

/**
 * Stable's answers are to be had, and were not asked for yet. A stable that is down has none, and the candidate may be
 * its mend. With policy Any its inputs may be others: then there are none to compare.
 */
function lacksTruth({ n, compared = n }: GoldenResult, { record, stable }: Candidate): boolean {
  return compared < n && stable?.canAnswer === true && record.spec.model.schemaPolicy !== 'Any';
}

/** Without a golden set of its own a model is asked made-up questions: that is told as what it is. */
function goldenWaiting(config: GoldenConfig, what: string): Checks {
  return waiting(
    config.source.kind === 'Generated' ? 'ChecksRunning' : 'GoldenWaiting',
    `${goldenName(config)}: ${what}`,
  );
}

/** The worst pod's. */
function goldenPassed({ record: { golden }, pods }: Candidate): string | undefined {
  if (golden === undefined) return undefined;
  const worst = worstOf(
    pods.map(({ report }) => report?.golden).filter((result) => result !== undefined),
    golden.config,
  );
  return worst === undefined ? undefined : goldenSentence(worst, golden.config);
}

// ── words ──

function fail(reason: Checks['reason'], message: string): Checks {
  return { verdict: 'Fail', reason, message };
}

function waiting(reason: Checks['reason'], message: string): Checks {
  return { verdict: 'Waiting', reason, message };
}

function percent(share: number): string {
  return share > 0 && share < 0.01 ? 'less than 1%' : `${Math.round(share * 100)}%`;
}
