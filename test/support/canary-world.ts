/**
 * A fake cluster with clients and sidecars: requests go to ready pods by the entry Service or the route, and each pod's
 * sidecar reports them when the operator pulls its report. The operator's own code runs, without network connections. A
 * revision's behaviour is in its URI: `-x1.6` (latencies times 1.6), `-errors8` (8 % fail), `-differs20` (20 % of its
 * answers disagree with stable's). A pod whose name begins with an entry of `mute` does not report.
 * Terms: stable is the serving revision, the candidate the new one. Reports count requests in blocks of 20 s. A pair is
 * the times of both revisions for the same request. A pass is one run of the operator for a model.
 */
import { labels, paths } from '../../api/names.ts';
import { present } from '../../api/present.ts';
import {
  blockSeconds,
  ratioBucketOf,
  ratioBuckets,
  type BlockCount,
  type BlockTraffic,
  type PairSource,
  type Report,
} from '../../api/report.ts';
import { silentLogger } from '../../lib/log.ts';
import { Random } from '../../bench/canary/random.ts';
import { Gatekeeper } from '../../operator/gates/gatekeeper.ts';
import type { ConfigMap, HttpRoute, Pod, Service } from '../../kube/kinds.ts';
import { isReady } from '../../kube/kinds.ts';
import { Reconciler, type ReconcileDeps } from '../../operator/reconcile/reconcile.ts';
import type { FetchReport, ReportAsk } from '../../operator/reports/report-client.ts';
import { ReportPuller } from '../../operator/reports/puller.ts';
import { followWith } from '../../operator/reconcile/notify.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import { FakeCluster } from './fake-cluster.ts';
import { operatorOf } from './operator-of.ts';
import { HandClock } from './hand-clock.ts';

const key = 'ml/ranker';

type Sidecar = {
  readonly revision: string;
  readonly blocks: Map<number, BlockCount>;
  readonly since: number;
  seq: number;
  ask: ReportAsk;
};
type Operator = { readonly reconciler: Reconciler; readonly puller: ReportPuller };

export class CanaryWorld {
  readonly cluster = new FakeCluster(new HandClock());
  /** Pods whose names begin with one of these texts do not report. */
  mute: readonly string[] = [];
  /** Dependencies of the operator that replace those of the fake cluster. */
  readonly more: Partial<ReconcileDeps>;
  readonly #random: Random;
  /**
   * Random numbers for pairs only. The clients' requests use other random numbers, so pairs do not change the requests.
   */
  readonly #chance: Random;
  readonly #perSecond: number;
  readonly #ringBlocks: number;
  readonly #sidecars = new Map<string, Sidecar>();
  #operator: Operator;

  /** @param options.ringBlocks how many blocks a sidecar remembers */
  constructor({
    perMinute,
    seed,
    ringBlocks = 90,
    more = {},
  }: {
    readonly perMinute: number;
    readonly seed: number;
    readonly ringBlocks?: number;
    readonly more?: Partial<ReconcileDeps>;
  }) {
    this.#ringBlocks = ringBlocks;
    this.#random = new Random(seed);
    this.#chance = new Random(seed, 92);
    this.#perSecond = perMinute / 60;
    this.more = more;
    this.#operator = this.#start();
  }

  /** Replaces the operator by a new process without in-memory state. */
  restart(): void {
    this.#operator.puller.close();
    this.#operator = this.#start();
  }

  /** Advances five seconds: pods make progress, clients send, the operator runs passes and pulls reports. */
  async tick(): Promise<void> {
    this.cluster.tick();
    this.#serve();
    // Run several passes: in a cluster, each write triggers another pass through the watches.
    for (let pass = 0; pass < 4; pass += 1) await this.#operator.reconciler.reconcile(key).catch(() => this.restart());
    await this.cluster.clock.advance(5000);
  }

  /** The number of answers of a revision's pods since a block, including pods that were deleted. */
  requestsSince(revision: string, block: number): number {
    return [...this.#sidecars.values()]
      .filter((sidecar) => sidecar.revision === revision)
      .flatMap((sidecar) => [...sidecar.blocks.values()])
      .reduce(
        (sum, { index, traffic }) =>
          sum + (index < block ? 0 : traffic.reduce((total, row) => total + row.ok + (row.errors['bug'] ?? 0), 0)),
        0,
      );
  }

  /** Deletes a pod with its sidecar; its Deployment makes another. */
  lose(revision: string): void {
    const pod = this.cluster.of<Pod>('Pod').find((one) => revisionOf(one) === revision && isReady(one));
    if (pod !== undefined) this.cluster.objects.delete(`Pod/${pod.metadata.name}`);
  }

  #start(): Operator {
    const { cluster } = this;
    const puller = new ReportPuller({ fetch: this.#fetch, clock: cluster.clock, logger: silentLogger });
    const gates = new Gatekeeper({
      heardAtMs: (uid) => puller.heardAtMs(uid),
      hearAnew: (model) => puller.hearAnew(model),
      logger: silentLogger,
    });
    puller.onReport((model, pod, report) => gates.hear(model, pod, report));
    const reconciler = operatorOf(cluster, {
      reports: (uid) => puller.latest(uid)?.report,
      gates,
      follow: followWith(puller),
      ...this.more,
    });
    return { reconciler, puller };
  }

  readonly #fetch: FetchReport = (ip, _signal, ask = {}) => {
    const { blocksFrom = 0 } = ask;
    const pod = this.cluster.of<Pod>('Pod').find((one) => one.status?.podIP === ip);
    const sidecar = pod === undefined ? undefined : this.#sidecars.get(pod.metadata.name);
    if (pod === undefined || sidecar === undefined || this.mute.some((name) => pod.metadata.name.startsWith(name)))
      return Promise.resolve({ kind: 'nothing', reason: 'no answer' });
    sidecar.ask = ask;
    const until = this.#blockNow();
    const since = Math.max(sidecar.since, blocksFrom, until - this.#ringBlocks + 1);
    const counts = [...sidecar.blocks.values()].filter(({ index }) => index >= since);
    return Promise.resolve({ kind: 'report', report: this.#reportOf(pod, { since, until, counts }, sidecar.seq) });
  };

  #reportOf(pod: Pod, blocks: NonNullable<Report['blocks']>, seq: number): Report {
    const revision = revisionOf(pod);
    return {
      schema: 1,
      bootId: `boot-${pod.metadata.name}`,
      seq,
      revision,
      ready: isReady(pod),
      blocks,
      ...present({ golden: this.cluster.goldenOf(revision) }),
    };
  }

  #blockNow(): number {
    return Math.floor(this.cluster.clock.now() / 1000 / blockSeconds);
  }

  #serve(): void {
    const pods = this.cluster.of<Pod>('Pod').filter(isReady);
    for (const pod of pods)
      if (!this.#sidecars.has(pod.metadata.name))
        this.#sidecars.set(pod.metadata.name, {
          revision: revisionOf(pod),
          blocks: new Map(),
          since: this.#blockNow(),
          seq: 0,
          ask: {},
        });
    for (const [pod, share] of this.#sharesOf(pods))
      this.#count(pod, this.#random.poisson(this.#perSecond * 5 * share));
    for (const pod of pods) this.#pair(pod);
  }

  /**
   * For each ready pod with traffic, its share, 0..1. If a route exists, its weights decide; otherwise the pods that
   * the Service selects have equal shares.
   */
  #sharesOf(pods: readonly Pod[]): readonly (readonly [Pod, number])[] {
    const route = this.cluster.objects.get('HTTPRoute/ranker') as HttpRoute | undefined;
    if (route === undefined) {
      const selector = (this.cluster.objects.get('Service/ranker') as Service | undefined)?.spec?.selector ?? {
        none: '',
      };
      const serving = pods.filter((pod) =>
        Object.entries(selector).every(([name, value]) => pod.metadata.labels?.[name] === value),
      );
      return serving.map((pod) => [pod, 1 / serving.length]);
    }
    const backends = route.spec?.rules?.[0]?.backendRefs ?? [];
    return backends.flatMap(({ name, weight = 1 }) => {
      const serving = pods.filter((pod) => name === `ranker-${revisionOf(pod)}`);
      return weight === 0 ? [] : serving.map((pod) => [pod, weight / 100 / serving.length] as const);
    });
  }

  #count(pod: Pod, requests: number): void {
    const sidecar = this.#sidecars.get(pod.metadata.name);
    if (sidecar === undefined || requests === 0) return;
    const index = this.#blockNow();
    sidecar.seq += 1;
    const [live, ...pairs] = sidecar.blocks.get(index)?.traffic ?? [];
    sidecar.blocks.set(index, { index, seq: sidecar.seq, traffic: [this.#answered(pod, requests, live), ...pairs] });
  }

  /**
   * Adds the pairs that a candidate's sidecar measures with stable in five seconds, as many as the probes and replays
   * that the operator asked for.
   */
  #pair(pod: Pod): void {
    const sidecar = this.#sidecars.get(pod.metadata.name);
    const { probes, pairs, peers = [] } = sidecar?.ask ?? {};
    const stable = this.cluster.of<Pod>('Pod').filter((one) => peers.includes(one.status?.podIP ?? ''));
    const [peer] = stable;
    if (sidecar === undefined || peer === undefined) return;
    const slower = this.#slownessOf(pod) / this.#slownessOf(peer);
    if (probes !== undefined)
      this.#addPairs(sidecar, 'Probe', {
        times: this.#chance.poisson((probes.perMinute * 5) / 60 / probes.pods),
        slower,
      });
    if (pairs === undefined) return;
    const kept =
      stable.reduce((sum, one) => sum + (this.#sidecars.get(one.metadata.name)?.ask.sample ?? 0), 0) / stable.length;
    this.#addPairs(sidecar, pairs, { times: this.#chance.poisson(kept * this.#perSecond * 5), slower });
  }

  #addPairs(
    sidecar: Sidecar,
    source: PairSource,
    { times, slower }: { readonly times: number; readonly slower: number },
  ): void {
    if (times === 0) return;
    const index = this.#blockNow();
    const [live = nothing, { paired = {} } = nothing] = sidecar.blocks.get(index)?.traffic ?? [];
    const counts: Record<string, number> = { ...paired[source]?.counts };
    for (let i = 0; i < times; i += 1) {
      const bucket = ratioBucketOf(slower * Math.exp(0.5 * (this.#chance.normal() - this.#chance.normal())));
      counts[bucket] = (counts[bucket] ?? 0) + 1;
    }
    sidecar.seq += 1;
    const ratios = { base: ratioBuckets.base, growth: ratioBuckets.growth, counts };
    sidecar.blocks.set(index, {
      index,
      seq: sidecar.seq,
      traffic: [live, { ...nothing, sizeClass: 0, paired: { ...paired, [source]: ratios } }],
    });
  }

  #slownessOf(pod: Pod): number {
    return numberAfter('x', this.#configOf(pod).source?.uri ?? '', 1);
  }

  #answered(pod: Pod, requests: number, before: BlockTraffic = nothing): BlockTraffic {
    const uri = this.#configOf(pod).source?.uri ?? '';
    const failed = Math.min(requests, this.#random.poisson((requests * numberAfter('errors', uri, 0)) / 100));
    const counts: Record<string, number> = { ...before.latency.counts };
    for (let i = failed; i < requests; i += 1) {
      const bucket = Math.ceil(
        Math.log((20 * numberAfter('x', uri, 1) * Math.exp(0.5 * this.#random.normal())) / 0.1) / Math.log(1.02),
      );
      counts[bucket] = (counts[bucket] ?? 0) + 1;
    }
    return {
      ...before,
      latency: { ...before.latency, counts },
      ok: before.ok + requests - failed,
      errors: { bug: (before.errors['bug'] ?? 0) + failed },
      ...this.#compared(pod, before),
    };
  }

  /**
   * The answers that a candidate's sidecar has compared with samples of stable. The number of new comparisons follows
   * from the sample rates that the operator asked stable's sidecars for.
   */
  #compared(pod: Pod, { compared = 0, disagreed = 0 }: BlockTraffic): Pick<BlockTraffic, 'compared' | 'disagreed'> {
    const { agreement, peers = [] } = this.#sidecars.get(pod.metadata.name)?.ask ?? {};
    const kept = this.cluster
      .of<Pod>('Pod')
      .filter((one) => peers.includes(one.status?.podIP ?? ''))
      .reduce((sum, one) => sum + (this.#sidecars.get(one.metadata.name)?.ask.sample ?? 0), 0);
    if (agreement === undefined || kept === 0) return {};
    const more = this.#random.poisson(kept * this.#perSecond);
    return {
      compared: compared + more,
      disagreed:
        disagreed +
        Math.min(
          more,
          this.#random.poisson((more * numberAfter('differs', this.#configOf(pod).source?.uri ?? '', 0)) / 100),
        ),
    };
  }

  #configOf(pod: Pod): Config {
    const config = this.cluster
      .of<ConfigMap>('ConfigMap')
      .find((one) => revisionOf(one) === revisionOf(pod) && revisionOf(pod) !== '');
    return JSON.parse(config?.data?.[paths.configFile] ?? '{}') as Config;
  }
}

const nothing: BlockTraffic = {
  tier: 'interactive',
  sizeClass: 1,
  latency: { base: 1e-4, growth: 1.02, counts: {} },
  ok: 0,
  errors: {},
};

type Config = { readonly source?: { readonly uri?: string } };

function revisionOf(object: KubeObject): string {
  return object.metadata.labels?.[labels.revision] ?? '';
}

/** The number after `-WORD` in a URI, such as 1.6 for the word `x` in `ok-x1.6`; `otherwise` if there is none. */
function numberAfter(word: string, uri: string, otherwise: number): number {
  return Number(new RegExp(`-${word}([0-9.]+)`).exec(uri)?.[1] ?? otherwise);
}
