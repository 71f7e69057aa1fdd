/**
 * Reports occurrences (something that happened to an object) to users, as Kubernetes Events on the objects. `say` never
 * throws and never waits.
 * Owns: writing new Events and counts one after the other in the background. event-rules.ts decides what is written.
 * Limits: at most 1,000 occurrences wait; a further occurrence is dropped. If the further occurrence is a Warning or
 * has `keep`, the oldest waiting Normal occurrence without `keep` is dropped instead. Dropped occurrences are counted.
 * `close` writes waiting Events for at most the given time.
 */
import { kinds } from '../../api/error-kinds.ts';
import { kindOf } from '../../api/errors.ts';
import { cutBytes } from '../../api/text.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { counter, type Counter, type Registry } from '../../lib/metrics.ts';
import { backoffMs, retry } from '../../lib/retry.ts';
import { EventRules, isKept, type Happening } from './event-rules.ts';
import type { KubeClient } from '../client/kube-client.ts';
import { isForbidden, isNotFound } from '../client/kube-error.ts';
import { microTime } from './micro-time.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import type { ResourceType } from '../client/resource-type.ts';

export type { Happening } from './event-rules.ts';

export type EventObject = KubeObject & {
  readonly eventTime: string;
  readonly reportingController: string;
  readonly reportingInstance: string;
  readonly action: string;
  readonly reason: string;
  readonly note: string;
  readonly type: 'Normal' | 'Warning';
  readonly regarding: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
  };
  readonly series?: { readonly count: number; readonly lastObservedTime: string };
};

export const events: ResourceType<EventObject> = {
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
};

/** The port for parts that report events. */
export interface EventSink {
  say(happening: Happening): void;
}

export type EventRecorderDeps = {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly logger: Logger;
  /** The reporting controller: `onnx-operator.dev/controller`. */
  readonly controller: string;
  /** The reporting instance: the pod's name. */
  readonly instance: string;
  /** A random number in [0, 1), for jitter. */
  readonly random?: () => number;
};

const maxWaiting = 1000;
const maxTries = 12;
/** Bounds of events.k8s.io/v1; the server refuses longer values. It counts bytes of UTF-8. */
const maxNoteBytes = 1024;
const maxReason = 128;

type Failure = { readonly error: unknown; readonly outdated: boolean };
type Job = { readonly key: string; readonly count: number; readonly happening: Happening; readonly atMs: number };

export class EventRecorder implements EventSink {
  readonly #deps: EventRecorderDeps;
  readonly #rules: EventRules;
  readonly #results: Counter<'result'>;
  readonly #jobs: Job[] = [];
  /**
   * The written Events by series (repetitions of one occurrence), so that a repetition increases the count of the
   * existing Event.
   */
  readonly #written = new Map<string, EventObject>();
  readonly #stop = new AbortController();
  #draining: Promise<void> | undefined;
  #closed = false;
  #names = 0;

  constructor(deps: EventRecorderDeps) {
    this.#deps = deps;
    this.#rules = new EventRules(deps.clock);
    this.#results = counter(deps.registry, {
      name: 'events_recorded_total',
      help: 'Events, by outcome: created, counted, filtered, dropped or failed.',
      labels: ['result'],
    });
  }

  say(happening: Happening): void {
    const ruling = this.#rules.judge(happening);
    for (const key of this.#rules.takeEnded()) this.#written.delete(key);
    if (this.#closed || ruling.kind === 'drop') {
      this.#results.inc({ result: 'filtered' });
      return;
    }
    // While an occurrence waits to be written, repetitions only increase its count.
    const waiting = this.#jobs.findIndex((job) => job.key === ruling.key);
    const job = { key: ruling.key, count: ruling.count, happening: ruling.happening, atMs: this.#deps.clock.now() };
    if (waiting >= 0) this.#jobs[waiting] = job;
    else this.#enqueue(job);
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = undefined;
    });
  }

  #enqueue(job: Job): void {
    if (this.#jobs.length >= maxWaiting) {
      this.#results.inc({ result: 'dropped' });
      const lesser = isKept(job.happening) ? this.#jobs.findIndex(({ happening }) => !isKept(happening)) : -1;
      if (lesser < 0) return;
      this.#jobs.splice(lesser, 1);
    }
    this.#jobs.push(job);
  }

  /** Accepts no more occurrences, writes the waiting ones, and resolves when that is done or `ms` have passed. */
  async close(ms: number): Promise<void> {
    this.#closed = true;
    const off = this.#deps.clock.after(ms, () => this.#stop.abort(new Error('event recorder closed')));
    await this.#draining;
    off();
  }

  async #drain(): Promise<void> {
    // Wait for one microtask, so that repetitions that are reported in the same call are counted before the first
    // write.
    await Promise.resolve();
    for (let job = this.#jobs.shift(); job !== undefined; job = this.#jobs.shift()) {
      if (this.#stop.signal.aborted) this.#results.inc({ result: 'dropped' });
      else await this.#write(job);
    }
  }

  async #write(job: Job): Promise<void> {
    const failure = await retry(() => this.#attempt(job), {
      clock: this.#deps.clock,
      signal: this.#stop.signal,
      pauseAfter: (failed, attempt) =>
        failed === undefined || attempt >= maxTries ? undefined : this.#pauseAfter(failed, attempt),
    });
    if (failure === undefined) return;
    this.#results.inc({ result: 'failed' });
    this.#deps.logger.warn('event not written', {
      reason: job.happening.reason,
      about: job.happening.about.metadata.name,
      err: failure.error,
    });
  }

  async #attempt(job: Job): Promise<Failure | undefined> {
    const before = job.count < 2 ? undefined : this.#written.get(job.key);
    try {
      this.#written.set(job.key, before === undefined ? await this.#create(job) : await this.#countUp(before, job));
      this.#results.inc({ result: before === undefined ? 'created' : 'counted' });
      return undefined;
    } catch (error) {
      // When the Event whose count should increase has expired (an hour after its last write) or was changed, create a
      // new Event.
      const outdated = before !== undefined && (isNotFound(error) || kindOf(error) === 'conflict');
      if (outdated) this.#written.delete(job.key);
      return { error, outdated };
    }
  }

  /** @returns undefined when a retry cannot help: the namespace is being deleted, or the server refuses the event */
  #pauseAfter({ error, outdated }: Failure, tries: number): number | undefined {
    if (outdated) return 0;
    if (kinds[kindOf(error)].retry !== 'backoff' || isForbidden(error)) return undefined;
    return backoffMs({ baseMs: 500, maxMs: 10_000 }, tries, (this.#deps.random ?? Math.random)());
  }

  #create({ happening, count, atMs }: Job): Promise<EventObject> {
    const { about, type, reason, action, note } = happening;
    const { controller, instance } = this.#deps;
    const { name, namespace, uid, resourceVersion } = about.metadata;
    const regarding = {
      apiVersion: about.apiVersion,
      kind: about.kind,
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    };
    const at = microTime(atMs);
    this.#names += 1;
    const event: EventObject = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      // The name is unique by time and counter. It starts with the object's name, so that a sorted list is grouped by
      // object.
      metadata: {
        name: `${name}.${(atMs * 1000 + (this.#names % 1000)).toString(16)}`,
        namespace: namespace ?? 'default',
      },
      eventTime: at,
      reportingController: controller,
      reportingInstance: instance.slice(0, maxReason),
      action: action.slice(0, maxReason),
      reason: reason.slice(0, maxReason),
      note: cutBytes(note, maxNoteBytes),
      type,
      regarding,
      ...(count > 1 ? { series: { count, lastObservedTime: at } } : {}),
    };
    return this.#deps.client.create(events, event, { signal: this.#stop.signal });
  }

  #countUp(before: EventObject, { count, atMs }: Job): Promise<EventObject> {
    const after: EventObject = { ...before, series: { count, lastObservedTime: microTime(atMs) } };
    return this.#deps.client.replace(events, after, { signal: this.#stop.signal });
  }
}
