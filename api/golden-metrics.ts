/**
 * The metrics by which an answer is compared with the expected answer. Each metric has a row.
 *
 * Terms: A golden set is inputs that a new revision must answer well before it gets traffic; its gate sets a limit for
 *        the metric over the whole set. gates.quality compares answers to live requests.
 * Owns: name, score and limit of each metric, and which gates accept it. The schema and its rules, the runtime's
 *       config, the defaults, the sidecar and messages use the rows. runtime/quality/compare.ts compares two tensors.
 */

type Row = {
  /** What the metric's value over a golden set means, as text for the field reference (schema/gates.ts). */
  readonly says: string;
  /**
   * Higher: the metric is a score, and a gate limits it with `min`. Lower: the metric is an error, and a gate limits it
   * with `max`.
   */
  readonly better: 'Higher' | 'Lower';
  /** The value of a completely wrong answer. It is finite, because JSON has no infinity. */
  readonly worst: number;
  /** How the values of several answers become one value: by their worst value, or by their weighted mean. */
  readonly over: 'WorstCase' | 'Mean';
  /** Default of the gate's limit. If absent, the gate must set a limit. */
  readonly limit?: number;
  /** Why the gate must set a limit, as a part of messages. Only a metric without `limit` has this text. */
  readonly needed?: string;
  /** Whether the metric can compare answers to generated inputs. */
  readonly generated?: true;
  /**
   * The limit at which two answers to a live request agree: the lowest value, or the highest value if lower is better.
   * If absent, gates.quality does not accept the metric.
   */
  readonly agreesFrom?: number;
};

const rows = {
  MaxAbsError: {
    says: 'largest difference, worst case',
    better: 'Lower',
    worst: Number.MAX_VALUE,
    over: 'WorstCase',
    needed: 'the largest acceptable error depends on the model',
    generated: true,
  },
  Cosine: {
    says: 'lowest cosine, worst case',
    better: 'Higher',
    worst: -1,
    over: 'WorstCase',
    limit: 0.99,
    generated: true,
    agreesFrom: 0.99,
  },
  Top1Agreement: {
    says: 'share of vectors with the same largest element',
    better: 'Higher',
    worst: 0,
    over: 'Mean',
    limit: 0.98,
    agreesFrom: 1,
  },
  ExactMatch: {
    says: 'share of equal answers',
    better: 'Higher',
    worst: 0,
    over: 'Mean',
    limit: 1,
    agreesFrom: 1,
  },
  WordErrorRate: {
    says: 'wrong words per expected word',
    better: 'Lower',
    worst: 1,
    over: 'Mean',
    limit: 0.05,
  },
  Accuracy: {
    says: 'share of correct labels',
    better: 'Higher',
    worst: 0,
    over: 'Mean',
    needed: 'the expected accuracy depends on the model',
  },
} as const satisfies Readonly<Record<string, Row>>;

export type GoldenMetric = keyof typeof rows;
/** Metrics that gates.quality accepts. */
export type LiveMetric = {
  [M in GoldenMetric]: (typeof rows)[M] extends { readonly agreesFrom: number } ? M : never;
}[GoldenMetric];

export const goldenMetrics: Readonly<Record<GoldenMetric, Row>> = rows;
export const goldenMetricNames = Object.keys(rows) as readonly GoldenMetric[];
export const liveMetricNames = goldenMetricNames.filter(
  (metric): metric is LiveMetric => goldenMetrics[metric].agreesFrom !== undefined,
);

/** Whether a lower value is better. */
export function isError(metric: GoldenMetric): boolean {
  return goldenMetrics[metric].better === 'Lower';
}

/** The default limit of the gate of a golden set; empty when the metric has no default. */
export function defaultLimitOf(metric: GoldenMetric): { readonly min?: number; readonly max?: number } {
  const { limit } = goldenMetrics[metric];
  if (limit === undefined) return {};
  return isError(metric) ? { max: limit } : { min: limit };
}

/** Two answers to a live request agree at this value, and at every better value. */
export function agreesFrom(metric: LiveMetric): number {
  return rows[metric].agreesFrom;
}
