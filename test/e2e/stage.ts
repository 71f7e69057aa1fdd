/**
 * The state of one story (an end-to-end test of one task of a user): its namespace, models, observations and clients.
 * Owns: the state that the steps share, and removing it.
 */
import { api, labels } from '../../api/names.ts';
import type { OnnxModel, OnnxModelSpec } from '../../api/onnxmodel.ts';
import type { Clients } from './clients.ts';
import { eventually, type Manifest } from './cluster-api.ts';
import type { World } from './world.ts';

/** Enough time to load a model, warm it up and finish a rollout on a machine with two busy cores. */
export const patienceMs = 120_000;

export class Stage {
  readonly world: World;
  readonly namespace: string;
  readonly specs = new Map<string, OnnxModelSpec>();
  /** For each model, the revision that was stable when the story last read the status. */
  readonly stable = new Map<string, string>();
  clients: Clients | undefined;

  constructor(world: World, namespace: string) {
    this.world = world;
    this.namespace = namespace;
  }

  async model(name: string): Promise<OnnxModel | undefined> {
    const found = await this.world.api.get({
      apiVersion: api.groupVersion,
      kind: api.kind,
      namespace: this.namespace,
      name,
    });
    return found as OnnxModel | undefined;
  }

  /** Waits until the status is for the model's latest generation and `look` returns a value. */
  async until<T>(
    what: string,
    name: string,
    look: (model: OnnxModel) => T | undefined,
    withinMs = patienceMs,
  ): Promise<T> {
    let last: OnnxModel | undefined;
    return eventually(
      `${name}: ${what}`,
      withinMs,
      async () => {
        last = await this.model(name);
        return last?.status === undefined || last.status.observedGeneration !== last.metadata.generation
          ? undefined
          : look(last);
      },
      () => JSON.stringify(last?.status, null, 2),
    );
  }

  async apply(name: string, spec: OnnxModelSpec): Promise<void> {
    this.specs.set(name, spec);
    await this.world.api.apply({
      apiVersion: api.groupVersion,
      kind: api.kind,
      metadata: { namespace: this.namespace, name },
      spec,
    });
  }

  async entryOf(name: string): Promise<string> {
    const address = (await this.model(name))?.status?.address?.url;
    if (address === undefined) throw new Error(`${name} has no status.address.url`);
    return address;
  }

  pods(name: string): Promise<readonly Manifest[]> {
    return this.world.api.list({ apiVersion: 'v1', kind: 'Pod' }, this.namespace, `${labels.model}=${name}`);
  }

  /** The current models and pods as text, for the message of a failed story. */
  async describe(): Promise<string> {
    const lines: string[] = [];
    for (const name of this.specs.keys()) {
      lines.push(`── ${name} ──`, JSON.stringify((await this.model(name))?.status, null, 2));
      for (const pod of await this.pods(name))
        lines.push(`pod ${pod.metadata?.name}: ${JSON.stringify(pod.status)}`.slice(0, 3_000));
    }
    return lines.join('\n');
  }

  async clear(): Promise<void> {
    await this.clients?.stop();
    await this.world.removeNamespace(this.namespace);
  }
}
