/**
 * The Kubernetes API for the stories, through client-node, which is independent of our own client. Owns: a few calls on
 * plain objects. To wait for something, it polls until a deadline.
 */
import { request, type RequestOptions } from 'node:https';
import {
  ApiException,
  KubernetesObjectApi,
  PatchStrategy,
  type KubeConfig,
  type KubernetesObject,
} from '@kubernetes/client-node';

export type Manifest = KubernetesObject & {
  readonly spec?: unknown;
  readonly status?: unknown;
  readonly [field: string]: unknown;
};
export type Named = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
};

export class ClusterApi {
  readonly #api: KubernetesObjectApi;
  readonly #config: KubeConfig;

  constructor(config: KubeConfig) {
    this.#config = config;
    this.#api = KubernetesObjectApi.makeApiClient(config);
  }

  /** Server-side apply, as `kubectl apply --server-side --force-conflicts`. */
  apply(manifest: Manifest): Promise<Manifest> {
    return this.#api.patch<Manifest>(manifest, undefined, undefined, 'stories', true, PatchStrategy.ServerSideApply);
  }

  /**
   * Server-side apply of a definition as raw JSON. client-node would omit the fields `default` and `enum`, because
   * these names are reserved words of JavaScript.
   */
  async applyDefinition(yaml: string, name: string): Promise<void> {
    const server = this.#config.getCurrentCluster()?.server;
    const url = new URL(
      `${server}/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}?fieldManager=stories&force=true`,
    );
    const options: RequestOptions = { method: 'PATCH', headers: { 'content-type': 'application/apply-patch+yaml' } };
    await this.#config.applyToHTTPSOptions(options);
    const { status, body } = await new Promise<{ status: number; body: string }>((resolve, reject) => {
      const sent = request(url, options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
        );
      });
      sent.on('error', reject).end(yaml);
    });
    if (status !== 200 && status !== 201)
      throw new Error(`the definition ${name} was answered with ${status}: ${body.slice(0, 2_000)}`);
  }

  /** @returns undefined when the object does not exist */
  async get(named: Named): Promise<Manifest | undefined> {
    try {
      return await this.#api.read<Manifest>({
        apiVersion: named.apiVersion,
        kind: named.kind,
        metadata: metadataOf(named),
      });
    } catch (error) {
      if (isStatus(error, 404)) return undefined;
      throw error;
    }
  }

  /** @param namespace empty: all namespaces, or a cluster-scoped object */
  async list(
    type: { readonly apiVersion: string; readonly kind: string },
    namespace: string,
    labelSelector?: string,
  ): Promise<readonly Manifest[]> {
    const answer = await this.#api.list<Manifest>(
      type.apiVersion,
      type.kind,
      namespace === '' ? undefined : namespace,
      undefined,
      undefined,
      undefined,
      undefined,
      labelSelector,
    );
    return answer.items;
  }

  /** A missing object counts as deleted. */
  async delete(named: Named): Promise<void> {
    try {
      await this.#api.delete({ apiVersion: named.apiVersion, kind: named.kind, metadata: metadataOf(named) });
    } catch (error) {
      if (!isStatus(error, 404)) throw error;
    }
  }
}

/** The rules of an HTTPRoute; empty for an absent route. */
export function rulesOf(
  route: Manifest | undefined,
): readonly { readonly backendRefs: readonly { readonly weight: number }[] }[] {
  return (route?.spec as { readonly rules?: ReturnType<typeof rulesOf> } | undefined)?.rules ?? [];
}

/** Whether the object's status has the condition. */
export function isTrue(object: Manifest | undefined, type: string): boolean {
  const status = object?.status as
    { readonly conditions?: readonly { readonly type: string; readonly status: string }[] } | undefined;
  return status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false;
}

/**
 * Polls until `look` returns a value other than undefined.
 * @throws Error with the result of `otherwise` when the time is over
 */
export async function eventually<T>(
  what: string,
  withinMs: number,
  look: () => Promise<T | undefined>,
  otherwise: () => string = () => '',
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`${what} did not happen within ${withinMs / 1000} s\n${otherwise()}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

function metadataOf({ name, namespace }: Named): { name: string; namespace?: string } {
  return namespace === undefined ? { name } : { name, namespace };
}

function isStatus(error: unknown, status: number): boolean {
  return error instanceof ApiException && error.code === status;
}
