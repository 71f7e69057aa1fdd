/** Local mode's API server with OnnxModels and without an operator: the test plays the operator. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Claim } from '../../api/conditions.ts';
import { claimConditions } from '../../api/conditions.ts';
import { customResourceDefinition, type OnnxModelStatus } from '../../api/onnxmodel.ts';
import type { SchemaStage } from '../../api/schema/builder.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { startApiServer, type LocalApiServer } from '../../local/api-server/server.ts';
import type { StoredObject, NewObject } from '../../local/objects.ts';
import { eventually } from './eventually.ts';

export const models = { apiVersion: 'onnx-operator.dev/v1alpha1', plural: 'onnxmodels' } as const;

export class ModelApi {
  readonly server: LocalApiServer;
  readonly kubeconfig: string;
  readonly #folder: string;

  /** @param stage `whole`: the schema includes fields that are planned but not published */
  static async start(namespace: string, stage: SchemaStage = 'published'): Promise<ModelApi> {
    const api = new ModelApi(await startApiServer({ clock: systemClock, logger: silentLogger, bookmarkMs: 50 }));
    api.server.objects.create(
      { apiVersion: 'apiextensions.k8s.io/v1', plural: 'customresourcedefinitions' },
      customResourceDefinition(stage) as unknown as NewObject,
    );
    api.server.objects.create(
      { apiVersion: 'v1', plural: 'namespaces' },
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    );
    await eventually('the kind is served', () => api.server.objects.list(models) !== undefined);
    return api;
  }

  private constructor(server: LocalApiServer) {
    this.server = server;
    this.#folder = mkdtempSync(join(tmpdir(), 'model-api-'));
    this.kubeconfig = join(this.#folder, 'config');
    writeFileSync(this.kubeconfig, server.kubeconfig(), { mode: 0o600 });
  }

  create(namespace: string, name: string): StoredObject {
    return this.server.objects.create(models, {
      apiVersion: models.apiVersion,
      kind: 'OnnxModel',
      metadata: { name, namespace },
      spec: { model: { uri: 'https://models.example/m.onnx' }, replicas: 2 },
    });
  }

  get(namespace: string, name: string): StoredObject {
    const found = this.server.objects.get({ ...models, namespace, name });
    if (found === undefined) throw new Error(`${name} does not exist`);
    return found;
  }

  changeSpec(namespace: string, name: string, more: object): void {
    const model = this.get(namespace, name);
    this.server.objects.update(models, { ...model, spec: { ...(model['spec'] as object), ...more } });
  }

  /** Writes the status that the operator would write for `generation`; absent: the model's current generation. */
  say(
    namespace: string,
    name: string,
    {
      claims,
      generation,
      ...more
    }: Partial<OnnxModelStatus> & { readonly claims: readonly Claim[]; readonly generation?: number },
  ): void {
    const model = this.get(namespace, name);
    const at = { now: Date.parse('2026-01-01T00:00:00Z'), generation: generation ?? model.metadata.generation ?? 0 };
    const status = { observedGeneration: at.generation, ...more, conditions: claimConditions([], claims, at) };
    this.server.objects.updateStatus(models, { ...model, status });
  }

  delete(namespace: string, name: string): void {
    this.server.objects.delete({ ...models, namespace, name });
  }

  async close(): Promise<void> {
    await this.server.close();
    rmSync(this.#folder, { recursive: true });
  }
}
