/**
 * Watches: a resource's changes as a stream of JSON lines.
 * Owns: the events that a watcher gets: the initial state if it was requested, every change after its resourceVersion,
 * events for objects that enter or leave its selector, and bookmarks.
 * Limits: a client with more than 16 MiB of unsent events is disconnected. A watch without timeoutSeconds lasts 30 to
 * 60 minutes.
 * Ends: at its timeout, with its connection, with the server, or when a test ends it.
 */
import { randomInt } from 'node:crypto';
import type { StoredObject } from '../../objects.ts';
import type { ApiDeps } from '../core.ts';
import { shown } from '../direct-objects.ts';
import { groupVersionOf } from '../resource.ts';
import { forbiddenValue } from '../../../kube/schema/cause.ts';
import { expired, invalidObject, StatusError, type StatusBody } from '../status.ts';
import type { StoreChange } from '../store.ts';
import type { ApiExchange, Target } from './exchange.ts';
import { integerOf, listQuery, type ListRequest } from './read.ts';
import { formOf, metadataOf, tableOf, type Form } from './table.ts';

export type WatchOptions = { readonly bookmarkMs: number };

const maxUnsentBytes = 16 * 1024 * 1024;
const minDefaultSeconds = 1_800;

/** All open watches. The server ends them when it ends. */
export class Watches {
  readonly #open = new Set<Watch>();

  start(deps: ApiDeps, exchange: ApiExchange, target: Target, options: WatchOptions): void {
    const watch = new Watch(deps, exchange, target);
    this.#open.add(watch);
    exchange.response.once('close', () => {
      this.#open.delete(watch);
      watch.stop();
    });
    watch.run(options);
  }

  get size(): number {
    return this.#open.size;
  }

  /** Ends all watches as a timeout does. */
  closeAll(): void {
    for (const watch of this.#open) watch.close();
  }

  /** Breaks the connections of all watches. */
  resetAll(): void {
    for (const watch of this.#open) watch.reset();
  }

  /**
   * Keeps open watches open, but sends no more events. To a client, such a watch looks like a watch on a dead server.
   */
  stallAll(): void {
    for (const watch of this.#open) watch.stop();
  }
}

class Watch {
  readonly #deps: ApiDeps;
  readonly #exchange: ApiExchange;
  readonly #target: Target;
  readonly #query: ListRequest;
  readonly #form: Form;
  readonly #sendsInitial: boolean;
  readonly #bookmarks: boolean;
  readonly #timeoutMs: number;
  readonly #endings: (() => void)[] = [];
  #columnsSent = false;

  constructor(deps: ApiDeps, exchange: ApiExchange, target: Target) {
    this.#deps = deps;
    this.#exchange = exchange;
    this.#target = target;
    this.#sendsInitial = checkInitial(exchange);
    this.#query = watchQuery(exchange, target);
    this.#form = formOf(exchange.accept, exchange.query.get('includeObject'));
    this.#bookmarks = exchange.query.get('allowWatchBookmarks') === 'true';
    const asked = integerOf(exchange.query.get('timeoutSeconds') ?? '') ?? 0;
    this.#timeoutMs = (asked > 0 ? asked : minDefaultSeconds + randomInt(minDefaultSeconds)) * 1000;
  }

  run(options: WatchOptions): void {
    const { response } = this.#exchange;
    const { store, clock } = this.#deps;
    this.#exchange.setCommonHeaders('application/json');
    response.writeHead(200);
    response.flushHeaders();
    const from = this.#from();
    const { table } = this.#target.resource;
    if (from !== undefined && !store.remembers(table, from)) {
      this.#fail(expired(`too old resource version: ${from} (${store.revision})`).body);
      return;
    }
    this.#endings.push(store.watch(table, (change) => this.#follow(change, from ?? 0)));
    if (from === undefined) this.#sendState();
    else for (const change of store.changesSince(table, from)) this.#follow(change, from);
    this.#endings.push(clock.after(this.#timeoutMs, () => this.close()));
    if (this.#bookmarks) this.#scheduleBookmark(options.bookmarkMs);
  }

  /** The resourceVersion after which the watch continues; undefined when the watch starts with the current state. */
  #from(): number | undefined {
    const { revision } = this.#query;
    if (this.#sendsInitial) return undefined;
    if (revision !== undefined && revision > 0) return revision;
    return this.#exchange.query.get('sendInitialEvents') === 'false' ? this.#deps.store.revision : undefined;
  }

  /** Stops sending events. */
  stop(): void {
    for (const end of this.#endings.splice(0)) end();
  }

  close(): void {
    this.stop();
    this.#exchange.response.end();
  }

  reset(): void {
    this.stop();
    this.#exchange.response.destroy();
  }

  #sendState(): void {
    const { store } = this.#deps;
    for (const object of store.list(this.#target.resource.table, this.#target.namespace))
      if (this.#query.matches(object)) this.#send('ADDED', object);
    if (this.#sendsInitial && this.#bookmarks) this.#sendBookmark({ 'k8s.io/initial-events-end': 'true' });
  }

  #follow(change: StoreChange, from: number): void {
    const { namespace } = this.#target;
    const isHere = namespace === undefined || change.object.metadata.namespace === namespace;
    if (change.revision <= from || !isHere) return;
    const before = this.#selected(change.previous);
    const after = this.#selected(change.type === 'DELETED' ? undefined : change.object);
    if (after !== undefined) this.#send(before === undefined ? 'ADDED' : 'MODIFIED', after);
    // When an object leaves the selector, the watcher gets its last state that matched.
    else if (before !== undefined)
      this.#send('DELETED', change.type === 'DELETED' ? change.object : withRevision(before, change.revision));
  }

  #selected(object: StoredObject | undefined): StoredObject | undefined {
    return object !== undefined && this.#query.matches(object) ? object : undefined;
  }

  #scheduleBookmark(everyMs: number): void {
    const end = this.#deps.clock.after(everyMs, () => {
      this.#sendBookmark();
      this.#scheduleBookmark(everyMs);
    });
    this.#endings.push(end);
  }

  #sendBookmark(annotations?: Readonly<Record<string, string>>): void {
    const { resource } = this.#target;
    const metadata = {
      resourceVersion: String(this.#deps.store.revision),
      creationTimestamp: null,
      ...(annotations === undefined ? {} : { annotations }),
    };
    const object = { kind: resource.kind, apiVersion: groupVersionOf(resource), metadata };
    this.#write({ type: 'BOOKMARK', object: this.#form.kind === 'table' ? this.#table([], metadata) : object });
  }

  #send(type: 'ADDED' | 'MODIFIED' | 'DELETED', stored: StoredObject): void {
    this.#write({ type, object: this.#presented(stored) });
  }

  #presented(stored: StoredObject): unknown {
    const object = shown(this.#target.resource, stored);
    switch (this.#form.kind) {
      case 'object':
        return object;
      case 'metadata':
        return metadataOf(object);
      case 'table':
        return this.#table([{ stored, shown: object }], { resourceVersion: stored.metadata.resourceVersion });
    }
  }

  #table(
    objects: readonly { stored: StoredObject; shown: StoredObject }[],
    metadata: Record<string, unknown>,
  ): unknown {
    const include = this.#form.kind === 'table' ? this.#form.include : 'None';
    const table = tableOf(objects, metadata, {
      columns: this.#target.resource.columns,
      nowMs: this.#deps.clock.now(),
      include,
      withColumns: !this.#columnsSent,
    });
    this.#columnsSent = true;
    return table;
  }

  #fail(status: StatusBody): void {
    this.#write({ type: 'ERROR', object: status });
    this.close();
  }

  #write(event: { readonly type: string; readonly object: unknown }): void {
    const { response } = this.#exchange;
    if (response.writableEnded || response.destroyed) return;
    response.write(`${JSON.stringify(event)}\n`);
    if (response.writableLength > maxUnsentBytes) this.reset();
  }
}

function withRevision(object: StoredObject, revision: number): StoredObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
}

function checkInitial(exchange: ApiExchange): boolean {
  const asked = exchange.query.get('sendInitialEvents');
  if (asked === null) return false;
  if (exchange.query.get('resourceVersionMatch') !== 'NotOlderThan') {
    throw invalidObject({ group: 'meta.k8s.io', plural: '', kind: 'ListOptions' }, '', [
      forbiddenValue('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'),
    ]);
  }
  return asked === 'true';
}

function watchQuery(exchange: ApiExchange, target: Target): ListRequest {
  // Remove resourceVersionMatch, which checkInitial has already checked. Otherwise listQuery would require a
  // resourceVersion, which a watch with an initial state does not need.
  exchange.query.delete('resourceVersionMatch');
  const version = exchange.query.get('resourceVersion') ?? '';
  if (version !== '' && !/^\d{1,15}$/.test(version))
    throw new StatusError(
      500,
      '',
      `resourceVersion: Invalid value: ${JSON.stringify(version)}: strconv.ParseUint: parsing ` +
        `${JSON.stringify(version)}: invalid syntax`,
    );
  const query = listQuery(exchange, target.resource);
  if (target.name === undefined) return query;
  return { ...query, matches: (object) => object.metadata.name === target.name && query.matches(object) };
}
