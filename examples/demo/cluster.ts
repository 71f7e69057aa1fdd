/**
 * The demo's two calls to the Kubernetes API: apply a manifest, read a model.
 * Owns: these calls. They use client-node and the kubeconfig that local mode wrote.
 */
import { readFile } from 'node:fs/promises';
import { KubeConfig, KubernetesObjectApi, PatchStrategy } from '@kubernetes/client-node';
import { parse } from 'yaml';
import { api } from '../../api/names.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import type { KubeObject } from '../../api/kube-object.ts';

/** The name of the writer in the object's managedFields. */
const fieldManager = 'demo';
const namespace = 'default';

export class Cluster {
  readonly #objects: KubernetesObjectApi;

  constructor(kubeconfig: string) {
    const config = new KubeConfig();
    config.loadFromFile(kubeconfig);
    this.#objects = KubernetesObjectApi.makeApiClient(config);
  }

  /** Applies a manifest, as `kubectl apply --server-side` does. @returns the stored object */
  async apply(path: string): Promise<OnnxModel> {
    const manifest = parse(await readFile(path, 'utf8')) as Pick<KubeObject, 'apiVersion' | 'kind' | 'metadata'>;
    const { name } = manifest.metadata;
    const applied = await this.#objects.patch(
      { ...manifest, metadata: { name, namespace } },
      undefined,
      undefined,
      fieldManager,
      undefined,
      PatchStrategy.ServerSideApply,
    );
    return applied as unknown as OnnxModel;
  }

  async read(name: string): Promise<OnnxModel> {
    return (await this.#objects.read({
      apiVersion: api.groupVersion,
      kind: api.kind,
      metadata: { name, namespace },
    })) as unknown as OnnxModel;
  }
}
