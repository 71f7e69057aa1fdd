/** The events of a story, which is an end-to-end test of one task of a user. */
import assert from 'node:assert/strict';
import { api, labels } from '../../api/names.ts';
import type { OnnxModelSpec } from '../../api/onnxmodel.ts';
import { Clients, isReachable, type Conversation } from './clients.ts';
import { tensors } from './conversations.ts';
import { eventually, rulesOf } from './cluster-api.ts';
import { patienceMs, type Stage } from './stage.ts';

const routeVersion = 'gateway.networking.k8s.io/v1';

export class When {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** A user applies a changed spec: the fields of `change` replace the fields of the current spec. */
  async specChanges(name: string, change: Partial<OnnxModelSpec>): Promise<void> {
    const before = this.#stage.specs.get(name);
    assert.ok(before, `${name} was not applied`);
    await this.#stage.apply(name, { ...before, ...change });
  }

  /** Clients send until the story ends or `then.noRequestFailed` stops them. */
  async clientsSend(name: string, conversation: Conversation = tensors(name)): Promise<void> {
    const entry = await this.#stage.entryOf(name);
    await eventually(`a way to ${entry}`, patienceMs, async () => ((await isReachable(entry)) ? true : undefined));
    this.#stage.clients = new Clients(entry, conversation);
    await this.requestsWereAnswered(20);
  }

  /** Waits until clients have `count` results, including failed requests. */
  async requestsWereAnswered(count: number): Promise<void> {
    const { clients } = this.#stage;
    assert.ok(clients, 'no clients send');
    const done = (): boolean => clients.tally.answered + clients.tally.failed.length >= count;
    await eventually(
      `${count} requests`,
      patienceMs,
      () => Promise.resolve(done() ? true : undefined),
      () => JSON.stringify(clients.tally),
    );
  }

  /** A user ends the pause of the rollout's current step. */
  async pauseIsEnded(name: string): Promise<void> {
    const resumeStep = await this.#stage.until('a pause', name, ({ status }) =>
      status?.phase === 'Paused' && status.candidate !== undefined
        ? `${status.candidate.revision}/${status.rollout?.step ?? 0}`
        : undefined,
    );
    await this.#changeRollout(name, { resumeStep });
  }

  /** A user aborts the candidate. */
  async candidateIsAborted(name: string): Promise<void> {
    const abortRevision = await this.#stage.until('a candidate', name, ({ status }) => status?.candidate?.revision);
    await this.#changeRollout(name, { abortRevision });
  }

  /** Another writer changes the route: all traffic to its first backend. */
  async routeIsChangedByOthers(name: string): Promise<void> {
    const { world, namespace } = this.#stage;
    const route = await world.api.get({ apiVersion: routeVersion, kind: 'HTTPRoute', namespace, name });
    const changed = rulesOf(route).map((rule) => ({
      ...rule,
      backendRefs: rule.backendRefs.map((ref, index) => ({ ...ref, weight: index === 0 ? 100 : 0 })),
    }));
    await world.api.apply({
      apiVersion: routeVersion,
      kind: 'HTTPRoute',
      metadata: { namespace, name },
      spec: { rules: changed },
    });
  }

  async #changeRollout(name: string, change: Partial<NonNullable<OnnxModelSpec['rollout']>>): Promise<void> {
    const rollout = this.#stage.specs.get(name)?.rollout;
    await this.specChanges(name, { rollout: { ...rollout, ...change } });
  }

  async operatorStops(): Promise<void> {
    await this.#stage.world.stopOperator();
  }

  /** Waits until pods of a new revision exist, then kills the operator. */
  async operatorIsKilledMidway(name: string): Promise<void> {
    const stable = this.#stage.stable.get(name);
    await eventually('pods of a new revision', patienceMs, async () => {
      const pods = await this.#stage.pods(name);
      return pods.some((pod) => pod.metadata?.labels?.[labels.revision] !== stable) ? true : undefined;
    });
    await this.#stage.world.killOperator();
  }

  operatorStarts(): void {
    this.#stage.world.startOperator();
  }

  /**
   * Deletes every pod of the model and waits until the pods are gone.
   * @returns names of the deleted pods
   */
  async everyPodIsDeleted(name: string): Promise<readonly string[]> {
    const doomed = (await this.#stage.pods(name)).map((pod) => pod.metadata?.name ?? '');
    assert.notEqual(doomed.length, 0);
    for (const pod of doomed)
      await this.#stage.world.api.delete({
        apiVersion: 'v1',
        kind: 'Pod',
        namespace: this.#stage.namespace,
        name: pod,
      });
    await eventually(`the end of ${doomed.join(', ')}`, patienceMs, async () => {
      const left = (await this.#stage.pods(name)).filter((pod) => doomed.includes(pod.metadata?.name ?? ''));
      return left.length === 0 ? true : undefined;
    });
    return doomed;
  }

  async modelIsDeleted(name: string): Promise<void> {
    await this.#stage.world.api.delete({
      apiVersion: api.groupVersion,
      kind: api.kind,
      namespace: this.#stage.namespace,
      name,
    });
  }
}
