/**
 * The workqueue_* metrics, under the names that dashboards for controller-runtime use.
 * Owns: the times at which each key (namespace/name of an object) was added to the queue and taken from it. The queue
 * calls this class, which only counts.
 */
import type { Clock } from '../../lib/clock.ts';
import { counter, histogram, sampledGauge, type Counter, type Histogram, type Registry } from '../../lib/metrics.ts';

type Labels = 'name' | 'controller';
const labels: readonly Labels[] = ['name', 'controller'];
/**
 * The buckets in seconds. They are client-go's buckets (10 ns to 1000 s by decades) from 10 µs on, because JavaScript
 * cannot measure shorter times.
 */
const buckets = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100, 1000];

export type QueueMetricsDeps = { readonly name: string; readonly clock: Clock; readonly registry: Registry };

export class QueueMetrics {
  readonly #clock: Clock;
  readonly #labels: Record<Labels, string>;
  readonly #addedAt = new Map<string, number>();
  readonly #takenAt = new Map<string, number>();
  readonly #adds: Counter<Labels>;
  readonly #retries: Counter<Labels>;
  readonly #queueSeconds: Histogram<Labels>;
  readonly #workSeconds: Histogram<Labels>;

  constructor(deps: QueueMetricsDeps, depth: () => number) {
    const { name, clock, registry } = deps;
    this.#clock = clock;
    this.#labels = { name, controller: name };
    this.#adds = counter(registry, {
      name: 'workqueue_adds_total',
      help: 'Total number of adds handled by workqueue',
      labels,
    });
    this.#retries = counter(registry, {
      name: 'workqueue_retries_total',
      help: 'Total number of retries handled by workqueue',
      labels,
    });
    this.#queueSeconds = histogram(registry, {
      name: 'workqueue_queue_duration_seconds',
      help: 'How long in seconds an item stays in workqueue before being requested',
      labels,
      buckets,
    });
    this.#workSeconds = histogram(registry, {
      name: 'workqueue_work_duration_seconds',
      help: 'How long in seconds processing an item from workqueue takes.',
      labels,
      buckets,
    });
    // The value is computed when it is scraped, so that work that hangs is visible at once.
    const sampled = (metric: string, help: string, read: () => number): void => {
      sampledGauge(registry, { name: metric, help, labels }, this.#labels, read);
    };
    sampled('workqueue_depth', 'Current depth of workqueue', depth);
    sampled(
      'workqueue_unfinished_work_seconds',
      'How many seconds of work has been done that is in progress and has not been observed by work_duration.',
      () => this.#ages().reduce((sum, age) => sum + age, 0),
    );
    sampled(
      'workqueue_longest_running_processor_seconds',
      'How many seconds has the longest running processor for workqueue been running.',
      () => Math.max(0, ...this.#ages()),
    );
  }

  added(key: string): void {
    this.#adds.inc(this.#labels);
    this.#addedAt.set(key, this.#clock.monotonic());
  }

  retried(): void {
    this.#retries.inc(this.#labels);
  }

  taken(key: string): void {
    const now = this.#clock.monotonic();
    this.#queueSeconds.observe(this.#labels, (now - (this.#addedAt.get(key) ?? now)) / 1000);
    this.#addedAt.delete(key);
    this.#takenAt.set(key, now);
  }

  done(key: string): void {
    const now = this.#clock.monotonic();
    this.#workSeconds.observe(this.#labels, (now - (this.#takenAt.get(key) ?? now)) / 1000);
    this.#takenAt.delete(key);
  }

  #ages(): number[] {
    const now = this.#clock.monotonic();
    return [...this.#takenAt.values()].map((at) => (now - at) / 1000);
  }
}
