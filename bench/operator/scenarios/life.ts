/**
 * The scenarios on models without canaries: cold start, changes, quiet time, restart. They run one after the other on
 * the same API server.
 * Owns: the measurements of each scenario. A cold start always runs, but its row is only printed when the scenario was
 * requested. A row is the printed result of a scenario.
 */
import { quantile } from '../../support/load.ts';
import { filledIn, modelName, newRevision, newSettings, plainModel, type BenchModel } from '../models.ts';
import type { Row } from '../rows.ts';
import type { Moment, World } from '../world.ts';

/** Milliseconds between two changes. The pause imitates a delivery pipeline. */
const everyMs = 50;

export async function life(world: World): Promise<readonly Row[]> {
  const { scenarios, foreign } = world.order;
  const rows: Row[] = [];
  const first = await cold(world);
  if (scenarios.includes('cold')) rows.push(first);
  if (scenarios.includes('change')) {
    rows.push(await change(world));
    if (foreign === undefined) rows.push(await settings(world));
  }
  if (scenarios.includes('quiet')) rows.push(await quiet(world));
  if (scenarios.includes('restart')) rows.push(await restart(world));
  return rows;
}

async function cold(world: World): Promise<Row> {
  const { models, replicas, foreign } = world.order;
  const names = Array.from({ length: models }, (_, index) => modelName(index));
  await world.create(
    names.map((name) =>
      foreign?.object === undefined ? plainModel(name, replicas) : filledIn(foreign.object, 'name', name),
    ),
  );
  await world.until('the bench to see its models', () => world.models.cache.size === models);
  const since = world.moment();
  world.operator.start();
  await world.until('every model to be current', () => isAllCurrent(world));
  const reached = world.operator.usage();
  const seconds = secondsSince(since);
  const apiServer = world.moment().serverCpu - since.serverCpu;
  await world.untilCalm();
  const { cpuSeconds, rssMiB } = world.operator.usage();
  return world.row(since, {
    name: 'cold',
    per: 'models',
    times: models,
    figures: {
      seconds,
      'CPU seconds of the operator': reached.cpuSeconds,
      'CPU seconds of the API server': apiServer,
      'peak RSS, MiB': reached.peakMiB,
      'CPU seconds of the operator until quiet': cpuSeconds,
      'RSS when quiet, MiB': rssMiB,
    },
  });
}

/** True when every status describes the current spec, every model has a Deployment, and all pods are ready. */
function isAllCurrent(world: World): boolean {
  const { models, replicas } = world.order;
  const all = world.models.cache.list();
  return (
    world.deployments.cache.size >= models &&
    all.every(isCurrent) &&
    (replicas === 0 || all.every(({ status }) => (status?.readyReplicas ?? 0) >= replicas))
  );
}

export function isCurrent({ metadata, status }: BenchModel): boolean {
  return status?.observedGeneration === metadata.generation;
}

/** Measures the time from the API server's answer to a change until a Deployment contains the changed value. */
async function change(world: World): Promise<Row> {
  const { changes, foreign } = world.order;
  const [answeredMs, seenMs] = [new Map<string, number>(), new Map<string, number>()];
  const unsubscribe = world.deployments.cache.subscribe((event) => {
    if (event.kind === 'deleted') return;
    const [value] = /value-\d{4}-/.exec(JSON.stringify(event.now)) ?? [];
    if (value !== undefined && !seenMs.has(value)) seenMs.set(value, performance.now());
  });
  const used = world.operator.usage().cpuSeconds;
  const since = world.moment();
  await everySpec(world, changes, async (name, index) => {
    const value = `value-${String(index).padStart(4, '0')}-`;
    await world.change(
      name,
      foreign?.change === undefined ? newRevision(`${value}x`) : filledIn(foreign.change, 'value', value),
    );
    answeredMs.set(value, performance.now());
  });
  await world.until('every change to reach a Deployment', () => seenMs.size >= changes);
  unsubscribe();
  await world.untilCalm();
  const times = [...answeredMs].map(([value, atMs]) => Math.max(0, (seenMs.get(value) ?? NaN) - atMs));
  return world.row(since, {
    name: 'change, new revision',
    per: 'changes',
    times: changes,
    figures: {
      'to Deployment, p50, ms': quantile(times, 0.5),
      'to Deployment, p99, ms': quantile(times, 0.99),
      'CPU seconds of the operator until quiet': world.operator.usage().cpuSeconds - used,
      'CPU seconds of the API server until quiet': world.moment().serverCpu - since.serverCpu,
    },
  });
}

/** Measures the time from the API server's answer to a change until the status describes the changed spec. */
async function settings(world: World): Promise<Row> {
  const { changes } = world.order;
  const since = world.moment();
  const [answeredMs, seenMs] = [new Map<string, number>(), new Map<string, number>()];
  const unsubscribe = world.models.cache.subscribe((event) => {
    if (event.kind === 'updated' && isCurrent(event.now) && !isCurrent(event.before))
      seenMs.set(event.now.metadata.name, performance.now());
  });
  await everySpec(world, changes, async (name) => {
    await world.change(name, newSettings(29));
    answeredMs.set(name, performance.now());
  });
  await world.until('every status to be current', () => seenMs.size >= changes);
  unsubscribe();
  await world.untilCalm();
  const times = [...answeredMs].map(([name, atMs]) => Math.max(0, (seenMs.get(name) ?? NaN) - atMs));
  const figures = { 'to status, p50, ms': quantile(times, 0.5), 'to status, p99, ms': quantile(times, 0.99) };
  return world.row(since, { name: 'change, same revision', per: 'changes', times: changes, figures });
}

async function everySpec(
  world: World,
  changes: number,
  work: (name: string, index: number) => Promise<void>,
): Promise<void> {
  const beganMs = performance.now();
  for (let index = 0; index < changes; index += 1) {
    await world.sleep(Math.max(0, beganMs + index * everyMs - performance.now()));
    await work(modelName(index), index);
  }
}

async function quiet(world: World): Promise<Row> {
  const used = world.operator.usage().cpuSeconds;
  const since = world.moment();
  await world.sleep(world.order.quietMs);
  const { cpuSeconds, rssMiB } = world.operator.usage();
  const figures = { 'CPU, percent of a core': percentOfCore(cpuSeconds - used, since), 'RSS, MiB': rssMiB };
  return world.row(since, { name: 'quiet', per: 'runs', times: 1, figures });
}

/** Kills the operator and starts it again. */
async function restart(world: World): Promise<Row> {
  await world.operator.kill();
  const since = world.moment();
  world.operator.start();
  const readyMs = await world.operator.whenReady();
  await world.until('the first request', () => world.proxy.quietMs < world.order.calmMs);
  await world.untilCalm();
  const { cpuSeconds, rssMiB, peakMiB } = world.operator.usage();
  return world.row(since, {
    name: 'restart',
    per: 'runs',
    times: 1,
    figures: {
      ...(readyMs === undefined ? {} : { 'ready after, seconds': readyMs / 1000 }),
      'quiet after, seconds': secondsSince(since) - world.order.calmMs / 1000,
      'CPU seconds of the operator until quiet': cpuSeconds,
      'RSS, MiB': rssMiB,
      'peak RSS, MiB': peakMiB,
    },
  });
}

export function percentOfCore(cpuSeconds: number, since: Moment): number {
  return (100 * cpuSeconds) / secondsSince(since);
}

export function secondsSince({ atMs }: Moment): number {
  return (performance.now() - atMs) / 1000;
}
