/**
 * The metrics of one reflector, which keeps a cache of one type of objects by list and watch. Alert on the time since
 * the last event: when a watch died without an error, all other metrics look healthy.
 * Owns: the reflector_* metrics. Their label `type` is the plural with its group.
 */
import { counter, sampledGauge, type Counter, type Registry } from '../../lib/metrics.ts';
import type { ResourceType } from '../client/resource-type.ts';

export type ReflectorMetricsDeps = {
  readonly type: ResourceType;
  readonly registry: Registry;
  readonly size: () => number;
  readonly silentMs: () => number;
};

export class ReflectorMetrics {
  readonly #type: string;
  readonly #lists: Counter<'type'>;
  readonly #watches: Counter<'type'>;
  readonly #events: Counter<'type' | 'event'>;
  readonly #failures: Counter<'type' | 'why'>;
  readonly #faults: Counter<'type'>;

  constructor({ type, registry, size, silentMs }: ReflectorMetricsDeps) {
    this.#type = type.group === '' ? type.plural : `${type.plural}.${type.group}`;
    const labels = ['type'] as const;
    this.#lists = counter(registry, { name: 'reflector_lists_total', help: 'Full lists read.', labels });
    this.#watches = counter(registry, { name: 'reflector_watches_total', help: 'Watches opened.', labels });
    this.#events = counter(registry, {
      name: 'reflector_events_total',
      help: 'Watch events received, bookmarks not counted.',
      labels: ['type', 'event'],
    });
    this.#failures = counter(registry, {
      name: 'reflector_failures_total',
      help: 'Lists and watches that failed, by cause: error, or expired position.',
      labels: ['type', 'why'],
    });
    this.#faults = counter(registry, {
      name: 'reflector_handler_faults_total',
      help: 'Exceptions thrown by handlers and index functions.',
      labels,
    });
    sampledGauge(
      registry,
      { name: 'reflector_objects', help: 'Objects in the cache.', labels },
      { type: this.#type },
      size,
    );
    sampledGauge(
      registry,
      {
        name: 'reflector_last_event_age_seconds',
        help: 'Time since the server last sent anything, bookmarks included.',
        labels,
      },
      { type: this.#type },
      () => silentMs() / 1000,
    );
  }

  listed(): void {
    this.#lists.inc({ type: this.#type });
  }

  watched(): void {
    this.#watches.inc({ type: this.#type });
  }

  told(event: string): void {
    this.#events.inc({ type: this.#type, event: event.toLowerCase() });
  }

  failed(why: 'error' | 'expired'): void {
    this.#failures.inc({ type: this.#type, why });
  }

  fault(): void {
    this.#faults.inc({ type: this.#type });
  }
}
