/**
 * The checks of a story, which is an end-to-end test of one task of a user. Most checks wait until they hold, because a
 * cluster needs time. Stable is the revision that serves; the candidate is a new revision in a rollout.
 */
import assert from 'node:assert/strict';
import { api, labels } from '../../api/names.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { send, type Conversation, type Tally } from './clients.ts';
import { eventually, rulesOf, type Manifest } from './cluster-api.ts';
import { patienceMs, type Stage } from './stage.ts';

/** The kinds of objects that may belong to a model. */
const childTypes = [
  { apiVersion: 'apps/v1', kind: 'Deployment' },
  { apiVersion: 'apps/v1', kind: 'ReplicaSet' },
  { apiVersion: 'apps/v1', kind: 'ControllerRevision' },
  { apiVersion: 'v1', kind: 'Pod' },
  { apiVersion: 'v1', kind: 'Service' },
  { apiVersion: 'v1', kind: 'ConfigMap' },
  { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice' },
] as const;

export class Then {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** The model is ready at its latest generation, with all desired pods and an address. */
  async isReady(name: string): Promise<void> {
    const stable = await this.#stage.until('ready', name, (model) => {
      const { status } = model;
      const whole =
        conditionOf(model, 'Ready')?.status === 'True' &&
        status?.readyReplicas === model.spec.replicas &&
        status?.address !== undefined;
      return whole ? status?.stable?.revision : undefined;
    });
    this.#stage.stable.set(name, stable);
  }

  /** A new revision serves, and the previous one has no pods left. */
  async newRevisionServes(name: string, withinMs = patienceMs): Promise<void> {
    const before = this.#stage.stable.get(name);
    const look = (model: OnnxModel): string | undefined => {
      const revision = model.status?.stable?.revision;
      return revision !== before && conditionOf(model, 'Ready')?.status === 'True' ? revision : undefined;
    };
    const after = await this.#stage.until(`a revision after ${before}`, name, look, withinMs);
    this.#stage.stable.set(name, after);
    await eventually(`the end of the pods of ${before}`, patienceMs, async () => {
      const left = (await this.#stage.pods(name)).filter((pod) => pod.metadata?.labels?.[labels.revision] !== after);
      return left.length === 0 ? true : undefined;
    });
  }

  /** The rollout is paused at this weight, and from then on the candidate gives `weight` percent of the answers. */
  async candidateGets(name: string, weight: number, { requests = 1_500 } = {}): Promise<void> {
    const candidate = await this.#stage.until(`${weight}% for the candidate`, name, (model) => {
      const { status } = model;
      const isThere =
        status?.phase === 'Paused' &&
        status.rollout?.actualWeight === weight &&
        conditionOf(model, 'RouteReady')?.status === 'True';
      return isThere ? status.candidate?.revision : undefined;
    });
    await this.#sharesAre(new Map([[candidate, weight]]), requests);
  }

  /**
   * The rollout is paused, and both revisions answer. It does not check shares, because a client that keeps its
   * connection keeps its pod.
   */
  async bothRevisionsAnswer(name: string): Promise<void> {
    const candidate = await this.#stage.until('a share for the candidate', name, (model) => {
      const { status } = model;
      return status?.phase === 'Paused' &&
        (status.rollout?.actualWeight ?? 0) > 0 &&
        conditionOf(model, 'RouteReady')?.status === 'True'
        ? status.candidate?.revision
        : undefined;
    });
    const stable = this.#stage.stable.get(name) ?? '';
    const counts = (): readonly number[] =>
      [stable, candidate].map((revision) => this.#stage.clients?.tally.byRevision[revision] ?? 0);
    const [stableBefore = 0] = counts();
    await eventually(
      'answers of both',
      patienceMs,
      () => Promise.resolve((counts()[0] ?? 0) > stableBefore + 100 && (counts()[1] ?? 0) > 100 ? true : undefined),
      () => counts().join(' and '),
    );
  }

  /** Every answer from now on comes from the revision that was stable before. */
  async onlyStableAnswers(name: string): Promise<void> {
    const stable = this.#stage.stable.get(name) ?? '';
    await this.#stage.until('the way back', name, ({ status }) =>
      status?.phase === 'Failed' && status.stable?.revision === stable ? true : undefined,
    );
    await this.#sharesAre(new Map([[stable, 100]]), 300);
  }

  /**
   * Checks that each revision gives its weight in percent of the next `requests` answers, within five standard
   * deviations. First waits 2 s, because proxies apply new weights shortly after the gateway controller accepts the
   * route.
   */
  async #sharesAre(wanted: ReadonlyMap<string, number>, requests: number): Promise<void> {
    const { clients } = this.#stage;
    assert.ok(clients, 'no clients send');
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    const before = clients.tally;
    const from = { answered: before.answered, byRevision: { ...before.byRevision } };
    await eventually(
      `${requests} answers`,
      patienceMs,
      () => Promise.resolve(clients.tally.answered - from.answered >= requests ? true : undefined),
      () => JSON.stringify(clients.tally),
    );
    const answered = clients.tally.answered - from.answered;
    for (const [revision, weight] of wanted) {
      const share: number = ((clients.tally.byRevision[revision] ?? 0) - (from.byRevision[revision] ?? 0)) / answered;
      const chance = 5 * Math.sqrt(((weight / 100) * (1 - weight / 100)) / answered);
      process.stdout.write(`      ${(100 * share).toFixed(1)}% of ${answered} answers, asked for ${weight}%\n`);
      assert.ok(
        Math.abs(share - weight / 100) <= chance,
        `${revision} gave ${(100 * share).toFixed(1)}% of ${answered} answers, not ${weight}% within ` +
          `${(100 * chance).toFixed(1)}`,
      );
    }
  }

  /** The route has these weights again, and an Event reports that the operator restored them. */
  async driftIsPutBack(name: string, weights: readonly number[]): Promise<void> {
    const { namespace, world } = this.#stage;
    await eventually('the weights to be restored', patienceMs, async () => {
      const route = await world.api.get({
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'HTTPRoute',
        namespace,
        name,
      });
      const events = await world.api.list({ apiVersion: 'events.k8s.io/v1', kind: 'Event' }, namespace);
      const isSame =
        JSON.stringify(rulesOf(route)[0]?.backendRefs.map((ref) => ref.weight)) === JSON.stringify(weights);
      return isSame && events.some((event) => event['reason'] === 'WeightDrift') ? true : undefined;
    });
  }

  /**
   * The operator gave up the new revision for `reason`, with a matching message. The previous revision keeps serving.
   * `reason` is a list if several checks may fail first.
   */
  async changeWasRefused(
    name: string,
    reason: string | readonly string[],
    words: RegExp,
    withinMs = patienceMs,
  ): Promise<void> {
    const reasons = [reason].flat();
    const look = (model: OnnxModel): Condition | undefined => {
      const condition = conditionOf(model, 'Stalled');
      return condition?.status === 'True' ? condition : undefined;
    };
    const stalled = await this.#stage.until(`stalled for ${reasons.join(' or ')}`, name, look, withinMs);
    assert.ok(reasons.includes(stalled.reason), `stalled for ${stalled.reason}, not ${reasons.join(' or ')}`);
    assert.match(stalled.message, words);
    const model = await this.#stage.model(name);
    assert.ok(model);
    assert.equal(conditionOf(model, 'Available')?.status, 'True');
    assert.equal(conditionOf(model, 'Ready')?.status, 'False');
    assert.equal(model.status?.stable?.revision, this.#stage.stable.get(name));
    assert.notEqual(model.status?.candidate?.revision, this.#stage.stable.get(name));
  }

  /** The latest entry of the history has this outcome and these verdicts of gates. */
  async historySays(name: string, outcome: string, gates: Readonly<Record<string, string>>): Promise<void> {
    const latest = (await this.#stage.model(name))?.status?.history?.[0];
    assert.equal(latest?.outcome, outcome);
    const verdicts = Object.fromEntries((latest?.gates ?? []).map((gate) => [gate.name, gate.verdict]));
    for (const [gate, verdict] of Object.entries(gates)) assert.equal(verdicts[gate], verdict, JSON.stringify(latest));
  }

  /** Stops the clients; every request was answered correctly. */
  async noRequestFailed(atLeast = 1): Promise<Tally> {
    const { clients } = this.#stage;
    assert.ok(clients, 'no clients send');
    const tally = await clients.stop();
    this.#stage.clients = undefined;
    process.stdout.write(
      `      ${tally.answered} requests answered, ${tally.failed.length} failed ${JSON.stringify(tally.byRevision)}\n`,
    );
    assert.deepEqual(tally.failed.slice(0, 20), []);
    assert.ok(tally.answered >= atLeast, `only ${tally.answered} requests were answered`);
    return tally;
  }

  /** One request, repeated until its answer is correct. */
  async answers(name: string, conversation: Conversation): Promise<void> {
    const entry = await this.#stage.entryOf(name);
    let last = '';
    await eventually(
      `an answer of ${name}`,
      patienceMs,
      async () => {
        try {
          return conversation.check(await send(entry, conversation));
        } catch (error) {
          last = String(error);
          return undefined;
        }
      },
      () => last,
    );
  }

  /** The status has the provider, precision and digest that the pods' sidecars report. */
  async statusShowsWhatRuns(
    name: string,
    want: { readonly provider: string; readonly precision: string },
  ): Promise<void> {
    const stable = await this.#stage.until('what the sidecars report', name, ({ status }) =>
      status?.stable?.memory?.peak === undefined ? undefined : status.stable,
    );
    assert.equal(stable.provider, want.provider);
    assert.equal(stable.precision, want.precision);
    assert.match(stable.digest ?? '', /^sha256:[0-9a-f]{64}$/);
  }

  /** The model has at least as many new ready pods as there are names in `predecessors`. */
  async successorsAreReady(name: string, predecessors: readonly string[]): Promise<void> {
    await eventually(`successors of ${predecessors.join(', ')}`, patienceMs, async () => {
      const ready = (await this.#stage.pods(name)).filter(
        (pod) => !predecessors.includes(pod.metadata?.name ?? '') && isReadyPod(pod),
      );
      return ready.length >= predecessors.length ? true : undefined;
    });
  }

  /** The model and all its objects are gone. */
  async nothingIsLeft(name: string): Promise<void> {
    const { namespace, world } = this.#stage;
    let left: readonly string[] = [];
    await eventually(
      `the end of everything of ${name}`,
      patienceMs,
      async () => {
        const model = await world.api.get({ apiVersion: api.groupVersion, kind: api.kind, namespace, name });
        const lists = await Promise.all(
          childTypes.map(async (type) =>
            (await world.api.list(type, namespace, `${labels.model}=${name}`)).map(
              (child) => `${type.kind} ${child.metadata?.name}`,
            ),
          ),
        );
        left = [...(model === undefined ? [] : [api.kind]), ...lists.flat()];
        return left.length === 0 ? true : undefined;
      },
      () => left.join('\n'),
    );
  }
}

type Condition = NonNullable<NonNullable<OnnxModel['status']>['conditions']>[number];

function conditionOf(model: OnnxModel, type: string): Condition | undefined {
  return model.status?.conditions?.find((condition) => condition.type === type);
}

function isReadyPod(pod: Manifest): boolean {
  const status = pod.status as
    { readonly conditions?: readonly { readonly type: string; readonly status: string }[] } | undefined;
  return status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false;
}
