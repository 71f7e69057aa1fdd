/**
 * The environment of the stories: a target, an operator that runs outside the target, and a folder of models.
 * Owns: starting all three once and ending them after the last story, and the namespaces. Every story has its own
 * namespace, which enforces the Pod Security level Restricted: a pod template that needs more rights fails.
 */
import { readFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { api } from '../../api/names.ts';
import { ChildProgram } from './child-program.ts';
import { ClusterApi, eventually, isTrue } from './cluster-api.ts';
import { openCluster } from './cluster-target.ts';
import { openLocalMode } from './local-target.ts';
import { fillModelsFolder } from './models-folder.ts';
import type { Target } from './target.ts';

const crdFile = fileURLToPath(new URL('../../crds/onnxmodels.yaml', import.meta.url));

export class World {
  readonly target: Target;
  readonly api: ClusterApi;
  /** Whether the claim has the real embedding model. */
  readonly hasMiniLm: boolean;
  /** The name of a GatewayClass that a controller serves. */
  readonly gatewayClass: string | undefined;
  readonly #folder: string;
  #operator: ChildProgram;
  #namespaces = 0;

  private constructor(parts: {
    target: Target;
    api: ClusterApi;
    hasMiniLm: boolean;
    gatewayClass: string | undefined;
    folder: string;
    operator: ChildProgram;
  }) {
    this.target = parts.target;
    this.api = parts.api;
    this.hasMiniLm = parts.hasMiniLm;
    this.gatewayClass = parts.gatewayClass;
    this.#folder = parts.folder;
    this.#operator = parts.operator;
  }

  /** @param settings ONNX_E2E_TARGET (`local` or `cluster`), KUBECONFIG, ONNX_E2E_IMAGE, ONNX_E2E_MODELS */
  static async open(settings: Readonly<Record<string, string | undefined>>): Promise<World> {
    const folder = await mkdtemp(join(tmpdir(), 'onnx-e2e-'));
    const modelsFolder = join(folder, 'models');
    const { hasMiniLm } = await fillModelsFolder(modelsFolder, settings['ONNX_E2E_MODELS']);
    const target =
      settings['ONNX_E2E_TARGET'] === 'cluster'
        ? openCluster({ kubeconfigFile: settings['KUBECONFIG'], modelsFolder, image: settings['ONNX_E2E_IMAGE'] })
        : await openLocalMode({ folder, modelsFolder });
    const client = new ClusterApi(target.kubeConfig);
    await client.applyDefinition(await readFile(crdFile, 'utf8'), `${api.plural}.${api.group}`);
    await eventually('serving the OnnxModel API', 30_000, async () => {
      try {
        return await client.list({ apiVersion: api.groupVersion, kind: api.kind }, 'default');
      } catch {
        return undefined;
      }
    });
    return new World({
      target,
      api: client,
      hasMiniLm,
      gatewayClass: await findGatewayClass(client),
      folder,
      operator: startOperator(target),
    });
  }

  /** Creates a namespace with the claim of models. */
  async makeNamespace(): Promise<string> {
    this.#namespaces += 1;
    const name = `story-${process.pid}-${this.#namespaces}`;
    await this.api.apply({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
    });
    await this.target.offerModels(name);
    return name;
  }

  async removeNamespace(name: string): Promise<void> {
    for (const model of await this.api.list({ apiVersion: api.groupVersion, kind: api.kind }, name)) {
      await this.api.delete({
        apiVersion: api.groupVersion,
        kind: api.kind,
        namespace: name,
        name: model.metadata?.name ?? '',
      });
    }
    await this.api.delete({ apiVersion: 'v1', kind: 'Namespace', name });
    await this.target.withdrawModels(name);
  }

  startOperator(): void {
    if (this.#operator.hasEnded) this.#operator = startOperator(this.target);
  }

  stopOperator(): Promise<void> {
    return this.#operator.stop();
  }

  /**
   * Kills the operator with SIGKILL, as in a crash of its node: it does not finish its work and does not release its
   * Lease.
   */
  killOperator(): Promise<void> {
    return this.#operator.kill();
  }

  lastLines(): string {
    return `${this.#operator.lastLines}\n${this.target.lastLines()}`;
  }

  async close(): Promise<void> {
    try {
      await this.#operator.stop();
    } finally {
      await this.target.close();
      await rm(this.#folder, { recursive: true, force: true });
    }
  }
}

/** @returns undefined when the cluster does not have the Gateway API or a controller for it */
async function findGatewayClass(client: ClusterApi): Promise<string | undefined> {
  try {
    const classes = await client.list({ apiVersion: 'gateway.networking.k8s.io/v1', kind: 'GatewayClass' }, '');
    return classes.find((one) => isTrue(one, 'Accepted'))?.metadata?.name;
  } catch {
    return undefined;
  }
}

function startOperator(target: Target): ChildProgram {
  const { kubeconfigFile, runtimeImage } = target;
  const flags = ['--kubeconfig', kubeconfigFile, '--service-address', 'ClusterIP', '--listen', 'off'];
  return new ChildProgram('operator', ['operator/main.ts', ...flags, '--runtime-image', runtimeImage]);
}
