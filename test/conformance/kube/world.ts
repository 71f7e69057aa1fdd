/**
 * The namespace and custom resource of the conformance suite, on any API server.
 * Owns: creating both under unique names, and removing them.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { eventually } from '../../support/eventually.ts';
import { KubeApi, type Answer, type CallOptions, type Json } from './api.ts';
import { widgetDefinition } from './widget.ts';

export class World {
  readonly api: KubeApi;
  readonly suffix = randomBytes(4).toString('hex');
  readonly namespace = `conformance-${this.suffix}`;
  readonly group = `c${this.suffix}.example.com`;
  /**
   * Whether the server collects garbage and removes deleted namespaces: true in local mode, and for a real API server
   * with a controller manager.
   */
  hasControllers = false;

  constructor(kubeconfig: string) {
    this.api = new KubeApi(kubeconfig);
  }

  async open(): Promise<void> {
    ok(
      await this.api.post('/api/v1/namespaces', {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: this.namespace },
      }),
      201,
    );
    ok(await this.api.post(definitions, widgetDefinition(this.group)), 201);
    await eventually(
      'the custom resource to be served',
      async () => (await this.api.get(this.widgets())).status === 200,
    );
    // kube-apiserver may refuse writes of a new resource for a moment, although it already answers reads.
    await eventually('the custom resource to be written', async () => {
      const made = await this.api.post(`${this.widgets()}?dryRun=All`, this.widget('probe'));
      return made.status === 201;
    });
    this.hasControllers = await this.#seesServiceAccount();
    // kube-apiserver refuses pods in a namespace without a service account.
    if (!this.hasControllers)
      ok(
        await this.api.post(this.path('v1', 'serviceaccounts'), {
          apiVersion: 'v1',
          kind: 'ServiceAccount',
          metadata: { name: 'default' },
        }),
        201,
      );
  }

  async close(): Promise<void> {
    await this.api.delete(`${definitions}/widgets.${this.group}`);
    await this.api.delete(`/api/v1/namespaces/${this.namespace}`);
    await this.api.close();
  }

  get apiVersion(): string {
    return `${this.group}/v1`;
  }

  /** The path of all widgets, or of one widget. */
  widgets(name?: string, namespace = this.namespace): string {
    return `/apis/${this.group}/v1/namespaces/${namespace}/widgets${name === undefined ? '' : `/${name}`}`;
  }

  /** The path of a built-in resource in the namespace, or of one object. */
  path(apiVersion: string, plural: string, name?: string): string {
    const root = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
    return `${root}/namespaces/${this.namespace}/${plural}${name === undefined ? '' : `/${name}`}`;
  }

  widget(name: string, spec: Json = {}, metadata: Json = {}): Json {
    return {
      apiVersion: this.apiVersion,
      kind: 'Widget',
      metadata: { name, ...metadata },
      spec: { size: 'small', ...spec },
    };
  }

  configMap(name: string, metadata: Json = {}, data: Json = {}): Json {
    return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data };
  }

  async createWidget(name: string, spec: Json = {}, metadata: Json = {}): Promise<Json> {
    return ok(await this.api.post(this.widgets(), this.widget(name, spec, metadata)), 201);
  }

  async createConfigMap(name: string, metadata: Json = {}, data: Json = {}): Promise<Json> {
    return ok(await this.api.post(this.path('v1', 'configmaps'), this.configMap(name, metadata, data)), 201);
  }

  /**
   * Server-side apply of a widget.
   * @param spec all fields of the spec that the manager owns afterwards
   */
  apply(
    name: string,
    manager: string,
    spec: Json,
    options: { readonly force?: boolean; readonly metadata?: Json } & CallOptions = {},
  ): Promise<Answer> {
    const config = { apiVersion: this.apiVersion, kind: 'Widget', metadata: { name, ...options.metadata }, spec };
    return this.api.patch(
      `${this.widgets(name)}?fieldManager=${manager}${options.force === true ? '&force=true' : ''}`,
      'apply',
      config,
    );
  }

  async #seesServiceAccount(): Promise<boolean> {
    try {
      await eventually(
        'a service account',
        async () => (await this.api.get(this.path('v1', 'serviceaccounts', 'default'))).status === 200,
        3_000,
      );
      return true;
    } catch {
      return false;
    }
  }
}

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** The body of an answer that must be a success. */
export function ok(answer: Answer, status = 200): Json {
  assert.equal(answer.status, status, answer.text.slice(0, 1_000));
  return answer.body;
}

/** The Status of an answer that must be an error. */
export function refused(answer: Answer, status: number, reason?: string): Json {
  assert.equal(answer.status, status, answer.text.slice(0, 1_000));
  assert.equal(answer.body?.kind, 'Status');
  assert.equal(answer.body.code, status);
  assert.equal(answer.body.status, 'Failure');
  if (reason !== undefined) assert.equal(answer.body.reason, reason);
  return answer.body;
}

/** The fields that a field manager owns, as in managedFields; undefined if it owns none. */
export function ownedBy(object: Json, manager: string, subresource = ''): Json {
  return object.metadata.managedFields?.find(
    (entry: Json) => entry.manager === manager && (entry.subresource ?? '') === subresource,
  )?.fieldsV1;
}
