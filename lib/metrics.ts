/**
 * Metrics: one registry per process, in prom-client's form.
 * Owns: making the registry, adding the process's own metrics (memory, event-loop lag, descriptors), getting or
 * creating a metric by name, and the text for a scraper. Metrics of models, rollouts and requests are defined
 * elsewhere.
 * Rule: base units in the name (`_seconds`, `_bytes`, `_total`), labels with a closed set of values only.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

export type { Counter, Gauge, Histogram, Registry } from 'prom-client';

export type MetricShape<L extends string> = {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly L[];
};

export type HistogramShape<L extends string> = MetricShape<L> & { readonly buckets: readonly number[] };

/** An empty registry. */
export function createRegistry(): Registry {
  return new Registry();
}

/** Adds the metrics of the process itself: CPU, memory, garbage collection, event-loop lag. */
export function collectProcess(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
}

/**
 * The counter of this name, created if it does not exist. Several instances of a component share the counter, each with
 * its own labels.
 */
export function counter<L extends string>(registry: Registry, shape: MetricShape<L>): Counter<L> {
  return existing<Counter<L>>(registry, shape.name) ?? new Counter({ ...settings(shape), registers: [registry] });
}

/** @see counter */
export function gauge<L extends string>(registry: Registry, shape: MetricShape<L>): Gauge<L> {
  return existing<Gauge<L>>(registry, shape.name) ?? new Gauge({ ...settings(shape), registers: [registry] });
}

/**
 * A gauge whose value is read when it is scraped. Several sources may share a name; each has its own labels.
 * @returns a function that removes the source and its series
 */
export function sampledGauge<L extends string>(
  registry: Registry,
  shape: MetricShape<L>,
  labels: Readonly<Record<L, string>>,
  read: () => number,
): () => void {
  const found = existing<Gauge<L>>(registry, shape.name);
  const sources =
    (found === undefined ? undefined : (sourcesOf.get(found) as Set<Source<L>> | undefined)) ?? new Set<Source<L>>();
  const sampled =
    found ??
    new Gauge({
      ...settings(shape),
      registers: [registry],
      collect() {
        for (const source of sources) this.set(source.labels, source.read());
      },
    });
  sourcesOf.set(sampled, sources);
  const source: Source<L> = { labels, read };
  sources.add(source);
  return () => {
    sources.delete(source);
    sampled.remove(labels);
  };
}

type Source<L extends string> = { readonly labels: Readonly<Record<L, string>>; readonly read: () => number };
const sourcesOf = new WeakMap<object, Set<Source<never>>>();

/** @see counter */
export function histogram<L extends string>(registry: Registry, shape: HistogramShape<L>): Histogram<L> {
  return (
    existing<Histogram<L>>(registry, shape.name) ??
    new Histogram({ ...settings(shape), buckets: [...shape.buckets], registers: [registry] })
  );
}

/** The text for a scraper, and its content type. */
export async function expose(registry: Registry): Promise<{ readonly contentType: string; readonly body: string }> {
  return { contentType: registry.contentType, body: await registry.metrics() };
}

function existing<M>(registry: Registry, name: string): M | undefined {
  return registry.getSingleMetric(name) as M | undefined;
}

function settings<L extends string>(shape: MetricShape<L>): { name: string; help: string; labelNames: L[] } {
  return { name: shape.name, help: shape.help, labelNames: [...(shape.labels ?? [])] };
}
