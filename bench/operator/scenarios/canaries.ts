/**
 * The scenarios with pods and reports: many models in a canary step, a release day, a lost node.
 * Owns: the measurements of each scenario. Each scenario begins with models whose first revision has one ready pod.
 * Terms: stable is the revision that serves, the candidate the one that may replace it; in a canary step the candidate
 * gets a part of the traffic and is judged by the pods' reports, which count requests in blocks of 20 s. The verdict is
 * the result.
 */
import { blockAt } from '../../../api/report.ts';
import { paceMs } from '../../../operator/reports/pace.ts';
import { quantile } from '../../support/load.ts';
import type { ServedPod } from '../fake-sidecars.ts';
import { canaryModel, modelName, newRevision, type BenchModel } from '../models.ts';
import type { Row } from '../rows.ts';
import type { World } from '../world.ts';
import { percentOfCore, secondsSince } from './life.ts';

/** The phases of a rollout that has reached its canary step or a later phase. */
const inStep: ReadonlySet<string> = new Set(['Analyzing', 'Promoting', 'Settling', 'Stable']);
/** The phases of a rollout whose candidate is given up. */
const givenUp: ReadonlySet<string> = new Set(['Aborting', 'Failed']);

/** The share of requests that fail, for pods of a failing candidate. */
const failing = 0.6;
/** When the last verdict takes longer than this, the bench fails. */
const verdictLimitMs = 300_000;

/** All models are in a canary step and their pods send reports. Then every candidate begins to fail. */
export async function analysis(world: World): Promise<readonly Row[]> {
  const { models, changes } = world.order;
  await startAll(world);
  await releaseAll(world, 0);
  await world.until('every model to be in its canary step', () => countIn(world, inStep) >= models);
  const [since, used, reports] = [world.moment(), world.operator.usage().cpuSeconds, world.sidecars.reports];
  await world.sleep(world.order.analysisMs);
  const { cpuSeconds, rssMiB, peakMiB } = world.operator.usage();
  const steady = world.row(since, {
    name: 'analysis',
    per: 'model-minutes',
    times: (models * world.order.analysisMs) / 60_000,
    figures: {
      'CPU, percent of a core': percentOfCore(cpuSeconds - used, since),
      'reports a second': (world.sidecars.reports - reports) / secondsSince(since),
      'RSS, MiB': rssMiB,
      'peak RSS, MiB': peakMiB,
    },
  });
  return [steady, await verdicts(world, Math.min(models, changes))];
}

/**
 * Measures how long the status takes to give the candidate up, from the two newest reports of the candidate. Every
 * report has new failures, so a pass of the operator judges each of them: the evidence that decided arrived after the
 * report before the newest one. The delay is therefore between the two times. The number of blocks shows how much
 * evidence the judge needed.
 */
async function verdicts(world: World, models: number): Promise<Row> {
  const since = world.moment();
  const reports = new FailingReports(candidatePods(world), blockAt(Date.now()) + 1);
  const found = new Map<string, Evidence>();
  world.sidecars.trafficOf = (pod) => ({ perMinute: 400, failing: reports.candidates.has(pod.uid) ? failing : 0 });
  world.sidecars.onReport = (pod, until) => reports.note(pod, until);
  const unsubscribe = world.models.cache.subscribe((event) => {
    if (event.kind !== 'updated' || !givenUp.has(phaseOf(event.now))) return;
    const { name } = event.now.metadata;
    if (!found.has(name)) found.set(name, reports.of(name));
  });
  await world.until('every failing candidate to be given up', () => found.size >= models, verdictLimitMs);
  unsubscribe();
  await world.untilCalm();
  const intervals = [...found.values()].map(({ newestMs }) => newestMs / paceMs.rollout);
  const longest = [...found.values()].map(({ beforeMs }) => beforeMs / paceMs.rollout);
  const needed = [...found.values()].map(({ blocks }) => blocks);
  return world.row(since, {
    name: 'analysis, verdicts',
    per: 'models',
    times: models,
    figures: {
      'newest report to verdict, p50, report intervals': quantile(intervals, 0.5),
      'newest report to verdict, p99, report intervals': quantile(intervals, 0.99),
      'report before it to verdict, p50, report intervals': quantile(longest, 0.5),
      'report before it to verdict, p99, report intervals': quantile(longest, 0.99),
      'failing blocks before the verdict, p50': quantile(needed, 0.5),
      'failing blocks before the verdict, p99': quantile(needed, 0.99),
    },
  });
}

/**
 * Milliseconds since the newest report of a candidate and since the report before it, and the number of complete blocks
 * with failures that were reported.
 */
type Evidence = { readonly newestMs: number; readonly beforeMs: number; readonly blocks: number };

/** The times of the two newest reports of each model's candidate. */
class FailingReports {
  /** The uids of the candidates' pods. */
  readonly candidates: ReadonlySet<string>;
  readonly #first: number;
  readonly #latest = new Map<string, { readonly until: number; readonly atMs: number; readonly beforeMs: number }>();

  constructor(candidates: ReadonlySet<string>, first: number) {
    this.candidates = candidates;
    this.#first = first;
  }

  /** @param until the last block of the report; this block is not complete yet */
  note({ uid, model }: ServedPod, until: number): void {
    if (!this.candidates.has(uid) || until < this.#first) return;
    const atMs = performance.now();
    this.#latest.set(model, { until, atMs, beforeMs: this.#latest.get(model)?.atMs ?? atMs });
  }

  of(model: string): Evidence {
    const latest = this.#latest.get(model);
    if (latest === undefined) return { newestMs: 0, beforeMs: 0, blocks: 0 };
    const nowMs = performance.now();
    return {
      newestMs: nowMs - latest.atMs,
      beforeMs: nowMs - latest.beforeMs,
      blocks: latest.until - this.#first,
    };
  }
}

/** Every spec changes within `releaseMs` (a minute by default), and every change starts a canary. */
export async function releaseDay(world: World): Promise<readonly Row[]> {
  const { models } = world.order;
  await startAll(world);
  const [since, used] = [world.moment(), world.operator.usage().cpuSeconds];
  await releaseAll(world, world.order.releaseMs);
  const changedAt = secondsSince(since);
  await world.until('every model to be in its canary step', () => countIn(world, inStep) >= models);
  const { cpuSeconds, rssMiB, peakMiB } = world.operator.usage();
  return [
    world.row(since, {
      name: 'releaseDay',
      per: 'models',
      times: models,
      figures: {
        'changed within, seconds': changedAt,
        'all in their first step after, seconds': secondsSince(since),
        'CPU seconds of the operator': cpuSeconds - used,
        'CPU seconds of the API server': world.moment().serverCpu - since.serverCpu,
        'RSS, MiB': rssMiB,
        'peak RSS, MiB': peakMiB,
      },
    }),
  ];
}

/** Some ready pods vanish at once, and their Deployments make new pods. */
export async function nodeLost(world: World): Promise<readonly Row[]> {
  const { models } = world.order;
  await startAll(world);
  const lost = Math.min(world.order.lost, models);
  const [since, used] = [world.moment(), world.operator.usage().cpuSeconds];
  await world.nodes.lose(lost);
  await world.until('every pod to be ready again', () => world.nodes.readyPods >= models);
  await world.until('every model to be ready again', () => world.models.cache.list().every(hasPod));
  const seconds = secondsSince(since);
  await world.untilCalm();
  return [
    world.row(since, {
      name: 'nodeLost',
      per: 'pods',
      times: lost,
      figures: {
        'all ready again after, seconds': seconds,
        'CPU seconds of the operator until quiet': world.operator.usage().cpuSeconds - used,
      },
    }),
  ];
}

/** Creates models with one ready pod each, and waits until the operator is quiet. */
async function startAll(world: World): Promise<void> {
  const { models } = world.order;
  await world.create(Array.from({ length: models }, (_, index) => canaryModel(modelName(index))));
  world.operator.start();
  await world.until('every model to be seen', () => world.models.cache.size === models);
  await world.until('every model to have a stable revision', () =>
    world.models.cache.list().every((model) => phaseOf(model) === 'Stable' && hasPod(model)),
  );
  await world.untilCalm();
}

async function releaseAll(world: World, overMs: number): Promise<void> {
  const { models } = world.order;
  const beganMs = performance.now();
  for (let index = 0; index < models; index += 1) {
    await world.sleep(Math.max(0, beganMs + (index * overMs) / models - performance.now()));
    await world.change(modelName(index), newRevision('second'));
  }
}

function countIn(world: World, phases: ReadonlySet<string>): number {
  return world.models.cache.list().filter((model) => hasCandidate(model) && phases.has(phaseOf(model))).length;
}

function hasCandidate({ metadata, status }: BenchModel): boolean {
  return status?.observedGeneration === metadata.generation && (metadata.generation ?? 0) > 1;
}

function hasPod({ status }: BenchModel): boolean {
  return (status?.readyReplicas ?? 0) > 0;
}

function phaseOf({ status }: BenchModel): string {
  return status?.rollout?.phase ?? '';
}

/** The uids of all pods that do not belong to the stable revision of their model. */
function candidatePods(world: World): ReadonlySet<string> {
  const stable = new Map(
    world.models.cache.list().map(({ metadata, status }) => [metadata.name, status?.stable?.revision]),
  );
  return new Set(
    world.sidecars
      .pods()
      .filter((pod) => stable.get(pod.model) !== pod.revision)
      .map(({ uid }) => uid),
  );
}
