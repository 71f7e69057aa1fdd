/**
 * The operator's process: reads flags, connects the parts, runs them.
 *
 * Terms: A pass observes, decides and writes for one model. Caches are copies of the cluster's objects, kept by
 * watches.
 * Owns: the order of start and shutdown. Every replica fills its caches, so that a takeover is quick; only the leader
 * runs passes. Shutdown ends passes, then flushes Events, then releases the Lease. Exit code 3: the Lease was lost.
 */
import type { Report } from '../api/report.ts';
import { aborted } from '../lib/abort.ts';
import { systemClock } from '../lib/clock.ts';
import { serveHttp, type HttpServer } from '../lib/http-serve.ts';
import { exitCodes, run, type ExitCode } from '../lib/lifecycle.ts';
import { createLogger, type Logger } from '../lib/log.ts';
import { collectProcess, createRegistry, type Registry } from '../lib/metrics.ts';
import { operatorHelp, readOperatorConfig, type OperatorConfig } from './config.ts';
import { Gatekeeper } from './gates/gatekeeper.ts';
import { loadAccess } from '../kube/client/access.ts';
import { Controller } from '../kube/controller/controller.ts';
import { EventRecorder } from '../kube/events/events.ts';
import { fencedClient } from '../kube/client/fenced-client.ts';
import { cachesHeard, cachesSynced, healthApp } from '../kube/controller/health.ts';
import { HttpKubeClient } from '../kube/client/http-client.ts';
import { withoutPauses } from '../kube/client/throttle.ts';
import type { KubeClient } from '../kube/client/kube-client.ts';
import type { Term } from '../kube/controller/leader.ts';
import { ShardElector } from '../kube/controller/shard-elector.ts';
import { defaultRateLimits } from '../kube/client/rate-limit.ts';
import { WorkQueue } from '../kube/controller/workqueue.ts';
import { Reconciler } from './reconcile/reconcile.ts';
import { createReportClient } from './reports/report-client.ts';
import { ReportPuller, type ReportNews } from './reports/puller.ts';
import { RolloutMetrics } from './reconcile/rollout-metrics.ts';
import { announceTo, followWith } from './reconcile/notify.ts';
import { modelPriority, reportDelayMs, reportPriority } from './priority.ts';
import { ModelWatches } from './watches.ts';

const clock = systemClock;
/** The longest back-off of a failing pass. It is short enough for a rollout to meet its progress deadline. */
const maxBackoffMs = 60_000;

/** Dependencies that every part of the process shares. */
type OperatorDeps = {
  readonly config: OperatorConfig;
  readonly client: KubeClient;
  /**
   * A client for the Lease only. The API server can make `client` pause (429 with Retry-After), and the Lease must be
   * renewed during such a pause, too.
   */
  readonly leaseClient: KubeClient;
  readonly registry: Registry;
  readonly logger: Logger;
};

async function operate(deps: OperatorDeps, stop: AbortSignal): Promise<ExitCode> {
  const { config, client, registry, logger } = deps;
  const queue = new WorkQueue({
    name: 'onnxmodel',
    clock,
    registry,
    limits: { ...defaultRateLimits, maxMs: maxBackoffMs },
    priorityOf: (key) => modelPriority(watches.model(key)),
  });
  const watches: ModelWatches = new ModelWatches({
    client,
    clock,
    registry,
    logger,
    shard: config.shard,
    onChange: (key, atLeast) => queue.add(key, atLeast),
    ...(config.namespace === undefined ? {} : { namespace: config.namespace }),
  });
  const ended = new AbortController();
  const server = await serveHealth(deps, watches);
  const watching = watches.run(ended.signal);
  try {
    const term = await lead(deps, stop);
    await Promise.race([watches.whenSynced(), aborted(stop)]);
    if (term === undefined || stop.aborted) return exitCodes.ok;
    logger.info('operator ready', { namespace: config.namespace ?? 'all', shard: config.shard });
    return await work(deps, { queue, watches, term }, stop);
  } finally {
    ended.abort();
    await watching;
    await server?.close(1000);
  }
}

type WorkParts = { readonly queue: WorkQueue; readonly watches: ModelWatches; readonly term: Term };

/** Runs passes until the process is asked to stop or loses the Lease. */
async function work(deps: OperatorDeps, parts: WorkParts, stop: AbortSignal): Promise<ExitCode> {
  const { config, registry, logger } = deps;
  const { queue, watches, term } = parts;
  const client = fencedClient(deps.client, () => term.isCurrent());
  const reportClient = createReportClient();
  const puller = new ReportPuller({ fetch: reportClient.fetch, clock, logger, registry });
  puller.onChange((key, report, news) => addReported(parts, key, { report, news }));
  const gates = new Gatekeeper({
    heardAtMs: (uid) => puller.heardAtMs(uid),
    hearAnew: (key) => puller.hearAnew(key),
    logger,
  });
  const metrics = new RolloutMetrics(registry, (uid) => puller.silence(uid) !== undefined);
  puller.onReport((key, podName, report) => {
    gates.hear(key, podName, report);
    metrics.reportReceived();
  });
  const events = new EventRecorder({
    client,
    clock,
    registry,
    logger,
    controller: 'onnx-operator.dev/operator',
    instance: config.identity,
  });
  const reconciler = new Reconciler({
    client,
    caches: watches,
    reports: (uid) => puller.latest(uid)?.report,
    settings: config,
    keep: watches.kept.answer,
    gates,
    clock,
    logger,
    announce: announceTo(events),
    follow: followWith(puller),
    measure: (key, pass) => metrics.measure(key, pass),
  });
  const controller = new Controller({
    name: 'onnxmodel',
    queue,
    reconcile: (key, signal) => reconciler.reconcile(key, signal),
    clock,
    registry,
    logger,
    workers: config.workers,
  });
  await controller.run(AbortSignal.any([stop, term.lost]));
  puller.close();
  reportClient.close();
  await events.close(2000);
  await term.release();
  return term.lost.aborted ? exitCodes.lostLeadership : exitCodes.ok;
}

function addReported(
  { queue, watches }: Pick<WorkParts, 'queue' | 'watches'>,
  key: string,
  { report, news }: { readonly report: Report; readonly news: ReportNews },
): void {
  const model = watches.model(key);
  const priority = reportPriority(report, model, news.afterSeq);
  const isUrgent = news.isOfStatus || priority === 'urgent';
  const { firstPullMs } = news;
  queue.addAfter(key, reportDelayMs(model, { firstPullMs, nowMs: clock.monotonic(), isUrgent }), priority);
}

/** @returns undefined when the process is stopped before it becomes the leader */
async function lead(
  { config, leaseClient, registry, logger }: OperatorDeps,
  stop: AbortSignal,
): Promise<Term | undefined> {
  if (!config.leaderElection)
    return { lost: new AbortController().signal, isCurrent: () => true, release: () => Promise.resolve() };
  const lease = { namespace: config.leaseNamespace, name: 'onnx-operator' };
  const { identity, shard } = config;
  return new ShardElector({ client: leaseClient, clock, registry, logger, lease, identity, shard }).campaign(stop);
}

async function serveHealth({ config, registry }: OperatorDeps, watches: ModelWatches): Promise<HttpServer | undefined> {
  if (config.listen === undefined) return undefined;
  const app = healthApp({
    registry,
    live: { watches: cachesHeard({ watches }) },
    ready: { caches: cachesSynced({ watches }) },
  });
  return serveHttp(app, config.listen.host, config.listen.port);
}

const boot = createLogger('operator');
await run(boot, async (stop) => {
  const config = readOperatorConfig(process.argv.slice(2));
  if (config === 'help') {
    process.stdout.write(operatorHelp);
    return exitCodes.ok;
  }
  const logger = createLogger('operator', config.logLevel);
  const registry = createRegistry();
  collectProcess(registry);
  const access = await loadAccess(config.kubeconfig === undefined ? {} : { kubeconfig: config.kubeconfig }, clock);
  const shared = { access, clock, registry, name: 'onnx-operator' };
  const client = new HttpKubeClient({ ...shared, limits: config.apiLimits });
  return operate(
    { config, client, leaseClient: new HttpKubeClient({ ...shared, limits: withoutPauses }), registry, logger },
    stop,
  );
});
