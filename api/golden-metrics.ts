/**
 * The ways to compare an answer with the right one, a row each.
 *
 * Owns:  what each metric is called, how its score is made and limited, and which gates take it. The schema and its
 *        rules, the runtime's config, the defaults, the sidecar and the messages read the rows; how two tensors are
 *        compared is in runtime/quality/compare.ts.
 */

type Row = {
  /** What the score of a set is, for the reference. */
  readonly says: string;
  /** Whether a better answer has a higher or a lower value: a score has a min, an error a max. */
  readonly better: 'Higher' | 'Lower';
  /** The value of an answer that has nothing in common with the right one. JSON has no infinity. */
  readonly worst: number;
  /** How the values of many answers become one: the worst of them where a single one tells, else the mean by weight. */
  readonly over: 'WorstCase' | 'Mean';
  /** The limit of a gate that gives none. Absent: the gate must give one, `needed` says why. */
  readonly limit?: number;
  readonly needed?: string;
  /** Whether answers to generated inputs can be compared by it. */
  readonly generated?: true;
  /** The value from which on (for errors: up to which) two answers to a live request agree. Absent: gates.quality does
   * not take the metric. */
  readonly agreesFrom?: number;
};

const rows = {
  MaxAbsError: {
    says: 'largest difference, worst case',
    better: 'Lower',
    worst: Number.MAX_VALUE,
    over: 'WorstCase',
    needed: 'how large an error may be only you know',
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
    says: 'wrong words for each word',
    better: 'Lower',
    worst: 1,
    over: 'Mean',
    limit: 0.05,
  },
  Accuracy: {
    says: 'share of right labels',
    better: 'Higher',
    worst: 0,
    over: 'Mean',
    needed: 'how good the model is only you know',
  },
} as const satisfies Readonly<Record<string, Row>>;

export type GoldenMetric = keyof typeof rows;
/** Metrics that gates.quality takes, for answers to live requests. */
export type LiveMetric = {
  [M in GoldenMetric]: (typeof rows)[M] extends { readonly agreesFrom: number } ? M : never;
}[GoldenMetric];

export const goldenMetrics: Readonly<Record<GoldenMetric, Row>> = rows;
export const goldenMetricNames = Object.keys(rows) as readonly GoldenMetric[];
export const liveMetricNames = goldenMetricNames.filter(
  (metric): metric is LiveMetric => goldenMetrics[metric].agreesFrom !== undefined,
);

/** Whether a lower value is the better one. */
export function isError(metric: GoldenMetric): boolean {
  return goldenMetrics[metric].better === 'Lower';
}

/** The limit of a golden gate that gives none, where one makes sense for every model. */
export function defaultLimitOf(metric: GoldenMetric): { readonly min?: number; readonly max?: number } {
  const { limit } = goldenMetrics[metric];
  if (limit === undefined) return {};
  return isError(metric) ? { max: limit } : { min: limit };
}

/** The value from which on two answers to a live request agree. */
export function agreesFrom(metric: LiveMetric): number {
  return rows[metric].agreesFrom;
}
