/**
 * Implements the interface KubeClient (kube-client.ts) over HTTP.
 * Owns: the request for each verb of kube-client.ts, and checking the shape of each answer before it is used.
 * Limits: one object 8 MiB (etcd stores at most 1.5 MiB), one page 128 MiB, one watch event 8 MiB.
 */
import { AppError } from '../../api/errors.ts';
import { isRecord } from '../../api/record.ts';
import { goJson } from '../../lib/canonical-json.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Registry } from '../../lib/metrics.ts';
import type { ClusterAccess } from './access.ts';
import { readLines, statusFrom } from './answer.ts';
import type {
  ApplyOptions,
  CallOptions,
  DeleteOptions,
  KubeClient,
  ListQuery,
  MetadataChange,
  MetadataTarget,
  Page,
  PatchOptions,
  Versioned,
  WatchEvent,
  WatchQuery,
  WriteOptions,
} from './kube-client.ts';
import type { KubeObject, ObjectName } from '../../api/kube-object.ts';
import { apiVersionOf, collectionPath, objectPath, type ResourceType } from './resource-type.ts';
import type { ThrottleLimits } from './throttle.ts';
import { Transport, type ApiCall } from './transport.ts';

const objectLimitBytes = 8 * 2 ** 20;
const pageLimitBytes = 128 * 2 ** 20;
const listDeadlineMs = 60_000;
/**
 * Kinds with a field that the API server stores byte for byte. The client writes objects of these kinds as Go does
 * (goJson).
 */
const keepsText: ReadonlySet<string> = new Set(['ControllerRevision']);

export type JsonPatchOperation = {
  readonly op: 'test' | 'add' | 'remove' | 'replace';
  readonly path: string;
  readonly value?: unknown;
};

export type HttpClientDeps = {
  readonly access: ClusterAccess;
  readonly clock: Clock;
  readonly registry: Registry;
  /** The field manager of writes that do not name one, and the User-Agent. */
  readonly name: string;
  readonly deadlineMs?: number;
  /** The client's own limit of its request rate. If absent, the client does not limit itself. */
  readonly limits?: ThrottleLimits;
};

export class HttpKubeClient implements KubeClient {
  readonly #transport: Transport;
  readonly #name: string;

  constructor(deps: HttpClientDeps) {
    this.#name = deps.name;
    this.#transport = new Transport({ ...deps, userAgent: deps.name });
  }

  get<T extends KubeObject>(type: ResourceType<T>, name: ObjectName, options: CallOptions = {}): Promise<T> {
    return this.#object(type, { method: 'GET', path: objectPath(type, name), ...callOf(options) });
  }

  async list<T extends KubeObject>(
    type: ResourceType<T>,
    query: ListQuery,
    options: CallOptions = {},
  ): Promise<Page<T>> {
    const path = collectionPath(type, query.namespace);
    const { labelSelector, fieldSelector, limit, resourceVersion } = query;
    const answer = await this.#transport.request({
      method: 'GET',
      path,
      query: { labelSelector, fieldSelector, limit: limit?.toString(), continue: query.continue, resourceVersion },
      limitBytes: pageLimitBytes,
      deadlineMs: listDeadlineMs,
      ...callOf(options),
    });
    return pageOf(type, answer, `GET ${path}`);
  }

  async *watch<T extends KubeObject>(
    type: ResourceType<T>,
    query: WatchQuery,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<T>> {
    const path = collectionPath(type, query.namespace);
    const { labelSelector, fieldSelector, resourceVersion } = query;
    const request = `GET ${path}?watch`;
    const body = await this.#transport.stream(
      {
        path,
        query: {
          watch: 'true',
          allowWatchBookmarks: 'true',
          resourceVersion,
          timeoutSeconds: String(query.timeoutSeconds),
          labelSelector,
          fieldSelector,
        },
      },
      signal,
    );
    try {
      for await (const line of readLines(body, objectLimitBytes, request)) yield eventOf<T>(line, request);
    } catch (error) {
      throw this.#transport.explain({ method: 'GET', path }, error, { signal, expired: () => false });
    } finally {
      // When the watch ended because it received nothing, its connection may be dead. The connections for requests may
      // be dead too, so replace all of them.
      if (signal.reason instanceof AppError && signal.reason.code === 'KUBE_WATCH_SILENT') this.#transport.retire();
    }
  }

  create<T extends KubeObject>(type: ResourceType<T>, object: T, options: PatchOptions = {}): Promise<T> {
    return this.#object(type, {
      method: 'POST',
      path: collectionPath(type, object.metadata.namespace),
      query: this.#checked(options),
      body: object,
      ...(keepsText.has(type.kind) ? { toText: goJson } : {}),
      ...callOf(options),
    });
  }

  replace<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<T> {
    return this.#object(type, {
      method: 'PUT',
      path: objectPath(type, object.metadata),
      query: this.#managed(options),
      body: object,
      ...callOf(options),
    });
  }

  apply<T extends KubeObject>(type: ResourceType<T>, object: T, options: ApplyOptions): Promise<T> {
    return this.#object(type, {
      method: 'PATCH',
      path: objectPath(type, object.metadata),
      contentType: 'application/apply-patch+yaml',
      body: object,
      // With Strict, a field that the server does not know is an error. Without Strict, the server would drop the
      // field.
      query: { fieldManager: options.fieldManager, force: String(options.force), fieldValidation: 'Strict' },
      ...callOf(options),
    });
  }

  replaceStatus<T extends KubeObject>(
    type: ResourceType<T>,
    target: Versioned,
    status: unknown,
    options: WriteOptions = {},
  ): Promise<T> {
    const { name, namespace, uid, resourceVersion } = target.metadata;
    const metadata = { name, ...given({ namespace, uid, resourceVersion }) };
    const body = { apiVersion: apiVersionOf(type), kind: type.kind, metadata, status };
    return this.#object(type, {
      method: 'PUT',
      path: objectPath(type, target.metadata, 'status'),
      query: { ...this.#managed(options), fieldValidation: 'Strict' },
      body,
      ...callOf(options),
    });
  }

  patchMetadata<T extends KubeObject>(
    type: ResourceType<T>,
    target: MetadataTarget,
    change: MetadataChange,
    options: WriteOptions = {},
  ): Promise<T> {
    const body = { metadata: { ...given({ uid: target.uid, resourceVersion: target.resourceVersion }), ...change } };
    return this.#object(type, {
      method: 'PATCH',
      path: objectPath(type, target),
      contentType: 'application/merge-patch+json',
      query: this.#managed(options),
      body,
      ...callOf(options),
    });
  }

  mergePatch<T extends KubeObject>(
    type: ResourceType<T>,
    name: ObjectName,
    patch: Readonly<Record<string, unknown>>,
    options: PatchOptions = {},
  ): Promise<T> {
    return this.#patch(type, name, { contentType: 'application/merge-patch+json', body: patch }, options);
  }

  /**
   * JSON patch (RFC 6902). The method is not in KubeClient, because only the command line needs it, to replace a field
   * with all its contents.
   */
  jsonPatch<T extends KubeObject>(
    type: ResourceType<T>,
    name: ObjectName,
    operations: readonly JsonPatchOperation[],
    options: PatchOptions = {},
  ): Promise<T> {
    return this.#patch(type, name, { contentType: 'application/json-patch+json', body: operations }, options);
  }

  #patch<T extends KubeObject>(
    type: ResourceType<T>,
    name: ObjectName,
    patch: Required<Pick<ApiCall, 'contentType' | 'body'>>,
    options: PatchOptions,
  ): Promise<T> {
    return this.#object(type, {
      method: 'PATCH',
      path: objectPath(type, name),
      query: this.#checked(options),
      ...patch,
      ...callOf(options),
    });
  }

  async delete(type: ResourceType, name: ObjectName, options: DeleteOptions = {}): Promise<boolean> {
    const preconditions = given({ uid: options.uid, resourceVersion: options.resourceVersion });
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: options.propagation ?? 'Background',
      ...(Object.keys(preconditions).length === 0 ? {} : { preconditions }),
    };
    const answer = await this.#transport.request({
      method: 'DELETE',
      path: objectPath(type, name),
      body,
      limitBytes: objectLimitBytes,
      ...callOf(options),
    });
    // When the object was deleted, the server answers with a Status. When the object still exists, the server answers
    // with the object, which is marked for deletion.
    return !(
      isRecord(answer) &&
      isRecord(answer['metadata']) &&
      typeof answer['metadata']['deletionTimestamp'] === 'string'
    );
  }

  /** Closes every connection, watches included. */
  close(): Promise<void> {
    return this.#transport.close();
  }

  #managed(options: WriteOptions): Record<string, string> {
    return { fieldManager: options.fieldManager ?? this.#name };
  }

  #checked(options: PatchOptions): Record<string, string> {
    return { ...this.#managed(options), ...(options.strict === true ? { fieldValidation: 'Strict' } : {}) };
  }

  async #object<T extends KubeObject>(type: ResourceType<T>, call: ApiCall): Promise<T> {
    const answer = await this.#transport.request({ limitBytes: objectLimitBytes, ...call });
    if (!isObject(answer))
      throw new AppError('KUBE_ANSWER_UNUSABLE', {
        request: `${call.method} ${call.path}`,
        problem: `the object is not of kind ${type.kind}`,
      });
    return answer as T;
  }
}

function callOf(options: CallOptions): Pick<ApiCall, 'signal' | 'deadlineMs'> {
  return given({ signal: options.signal, deadlineMs: options.deadlineMs });
}

/** The same object without the keys whose value is undefined. */
function given<V extends object>(values: V): { [K in keyof V]?: Exclude<V[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof V]?: Exclude<V[K], undefined>;
  };
}

function isObject(value: unknown): value is KubeObject {
  return isRecord(value) && isRecord(value['metadata']) && typeof value['metadata']['name'] === 'string';
}

function pageOf<T extends KubeObject>(type: ResourceType<T>, answer: unknown, request: string): Page<T> {
  const unusable = (problem: string): AppError => new AppError('KUBE_ANSWER_UNUSABLE', { request, problem });
  if (!isRecord(answer) || !isRecord(answer['metadata'])) throw unusable('the answer is not a list');
  const { resourceVersion, continue: more } = answer['metadata'];
  const items = answer['items'] ?? [];
  if (typeof resourceVersion !== 'string' || !Array.isArray(items)) throw unusable('the answer is not a list');
  // Lists of built-in types omit apiVersion and kind of each item.
  const [apiVersion, { kind }] = [apiVersionOf(type), type];
  const named = items.map((item: unknown) => {
    if (!isObject(item)) throw unusable('an item of the list has no name');
    return Object.assign(item, { apiVersion: item.apiVersion ?? apiVersion, kind: item.kind ?? kind }) as T;
  });
  return { items: named, resourceVersion, ...(typeof more === 'string' && more !== '' ? { continue: more } : {}) };
}

/** @throws AppError KUBE_STATUS for an ERROR event */
function eventOf<T extends KubeObject>(line: string, request: string): WatchEvent<T> {
  const { type, object } = parseEvent(line, request);
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      if (isObject(object)) return { type, object: object as T };
      break;
    case 'BOOKMARK': {
      // The object of a bookmark has a valid resourceVersion and no other valid field, not even a name.
      const metadata = isRecord(object) ? object['metadata'] : undefined;
      if (isRecord(metadata) && typeof metadata['resourceVersion'] === 'string')
        return { type, resourceVersion: metadata['resourceVersion'] };
      break;
    }
    case 'ERROR':
      throw statusFrom(object, { status: 500, message: 'the watch failed' }, request);
  }
  throw new AppError('KUBE_ANSWER_UNUSABLE', { request, problem: `an event of type ${String(type)} has no object` });
}

function parseEvent(line: string, request: string): Record<string, unknown> {
  try {
    const event: unknown = JSON.parse(line);
    return isRecord(event) ? event : {};
  } catch (error) {
    throw new AppError('KUBE_ANSWER_UNUSABLE', { request, problem: 'an event is not JSON' }, { cause: error });
  }
}
