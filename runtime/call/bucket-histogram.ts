/**
 * A Prometheus histogram for the hot path: at each observation, prom-client's own histogram makes a text of the labels
 * to find their series, which takes several times as long as counting.
 *
 * Owns: the counts of each series. prom-client's registry reads them at a scrape, and prints the text that it would
 *       print for its own histogram.
 */
import type { Metric, Registry } from 'prom-client';

export type BucketHistogramDeps = {
  readonly name: string;
  readonly help: string;
  /** Upper bounds, ascending. */
  readonly buckets: readonly number[];
  readonly registry: Registry;
};

type Labels = Readonly<Record<string, string>>;
type Value = {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly sharedLabels: Labels;
  readonly value: number;
  readonly metricName: string;
};

/** The counts of one set of labels. */
export class HistogramSeries {
  readonly labels: Labels;
  readonly #bounds: Float64Array;
  /** The last position counts what is above all bounds. */
  readonly counts: Float64Array;
  sum = 0;
  count = 0;

  constructor(labels: Labels, bounds: Float64Array) {
    this.labels = labels;
    this.#bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let index = 0;
    while (index < bounds.length && value > (bounds[index] as number)) index += 1;
    this.counts[index] = (this.counts[index] as number) + 1;
    this.sum += value;
    this.count += 1;
  }
}

export class BucketHistogram {
  readonly name: string;
  readonly help: string;
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #bounds: Float64Array;
  readonly #series: HistogramSeries[] = [];

  constructor({ name, help, buckets, registry }: BucketHistogramDeps) {
    this.name = name;
    this.help = help;
    this.#bounds = Float64Array.from(buckets);
    registry.registerMetric(this as unknown as Metric);
  }

  /** Makes a new series. A series with labels is printed only after its first observation. */
  series(labels: Labels = {}): HistogramSeries {
    const made = new HistogramSeries(labels, this.#bounds);
    this.#series.push(made);
    return made;
  }

  /** Called by the registry for the text. */
  async getForPromString(): Promise<object> {
    const shown = this.#series.filter(({ count, labels }) => count > 0 || Object.keys(labels).length === 0);
    return this.#reading(shown.flatMap((series) => this.#valuesOf(series)));
  }

  /** Called by the registry for JSON. */
  async get(): Promise<object> {
    const { values, ...rest } = (await this.getForPromString()) as { readonly values: readonly Value[] };
    return {
      ...rest,
      values: values.map(({ labels, sharedLabels, ...value }) => ({
        ...value,
        labels: { ...labels, ...sharedLabels },
      })),
    };
  }

  #reading(values: readonly Value[]): object {
    const { name, help, type, aggregator } = this;
    return { name, help, type, aggregator, values };
  }

  #valuesOf({ labels: sharedLabels, counts, sum, count }: HistogramSeries): readonly Value[] {
    const bucket = `${this.name}_bucket`;
    let below = 0;
    return [
      ...Array.from(this.#bounds, (le, index) => {
        below += counts[index] as number;
        return { labels: { le }, sharedLabels, value: below, metricName: bucket };
      }),
      { labels: { le: '+Inf' }, sharedLabels, value: count, metricName: bucket },
      { labels: {}, sharedLabels, value: sum, metricName: `${this.name}_sum` },
      { labels: {}, sharedLabels, value: count, metricName: `${this.name}_count` },
    ];
  }
}
