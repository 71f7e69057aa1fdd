/**
 * spec.rollout.gates: limits for a candidate, before traffic (golden) and under traffic.
 *
 * Owns: the shape, bounds and rules of the gates. Descriptions name the defaults; operator/analysis/plan.ts and
 *       operator/golden/golden-set.ts apply them.
 */
import {
  agreesFrom,
  defaultLimitOf,
  goldenMetricNames,
  goldenMetrics,
  isError,
  liveMetricNames,
  type GoldenMetric,
  type LiveMetric,
} from '../golden-metrics.ts';
import { k, type CelRule } from './builder.ts';
import { configMapRef, digest, duration, percent } from './values.ts';
import { fileUriPattern } from '../sources.ts';

const share = () => k.string({ max: 12, pattern: '^(0(\\.[0-9]{1,9})?|1(\\.0{1,9})?)$' });

const minDetectableNeeds = {
  rule: '!has(self.minDetectable) || has(self.maxIncrease)',
  message: 'minDetectable requires maxIncrease: it is the larger increase that is accepted when traffic is low',
  fieldPath: '.minDetectable',
} as const;
const minDetectableIsMore = {
  rule:
    "!has(self.minDetectable) || !has(self.maxIncrease) || double(self.minDetectable.replace('%', '')) >= " +
    "double(self.maxIncrease.replace('%', ''))",
  message: 'minDetectable must be at least maxIncrease',
  messageExpression:
    "'minDetectable must be at least maxIncrease (given: ' + self.minDetectable + ' and ' + self.maxIncrease + ')'",
  fieldPath: '.minDetectable',
} as const;

const latencyGate = k
  .object({
    name: k
      .string({ max: 40, min: 1 })
      .doc('Identifies the gate in status and messages, such as p95. errors, errors-max and quality are reserved.'),
    quantile: share().doc(
      'Which quantile of the latency to compare, as text above "0" and below "1": "0.95" is the latency that 95% of ' +
        'the requests do not exceed.',
    ),
    maxIncrease: percent()
      .doc(
        "How much higher the candidate's latency may be than stable's, such as 15%. A Pass shows that the increase " +
          'is at most maxIncrease, or at most minDetectable. Either maxIncrease or max is required.',
      )
      .optional(),
    max: duration()
      .doc("Highest latency of the candidate, independent of stable's, such as 60ms; above 0s.")
      .optional(),
    minDetectable: percent()
      .doc(
        'Increase that is enough for a Pass when traffic is too low to show maxIncrease within the ' +
          "step's maxDuration; at least maxIncrease. status.history records what was shown. Absent: the gate stays " +
          'undecided until maxIncrease is shown. Only with maxIncrease.',
      )
      .optional(),
    eachClass: k
      .boolean()
      .doc(
        'True: every class of requests (by tier and size) that has enough requests in both revisions is ' +
          'judged separately, too. The gate fails when one class fails, and passes when every class passes and ' +
          'all requests together pass. Absent: false. Only with maxIncrease.',
      )
      .optional(),
  })
  .rule({
    rule: "!(self.name in ['errors', 'errors-max', 'quality'])",
    message: 'name must not be errors, errors-max or quality: these are names of other gates',
    fieldPath: '.name',
  })
  .rule({
    rule: 'double(self.quantile) > 0.0 && double(self.quantile) < 1.0',
    message: 'quantile must be above 0 and below 1',
    messageExpression: "'quantile must be above 0 and below 1 (given: ' + self.quantile + ')'",
    fieldPath: '.quantile',
  })
  .rule({
    rule: "!has(self.max) || duration(self.max) > duration('0s')",
    message: 'max must be above 0s',
    fieldPath: '.max',
  })
  .rule({
    rule: 'has(self.max) != has(self.maxIncrease)',
    message: 'a latency gate must have either max or maxIncrease',
  })
  .rule(minDetectableNeeds)
  .rule(minDetectableIsMore)
  .rule({
    rule: '!has(self.eachClass) || has(self.maxIncrease)',
    message: 'eachClass is only allowed with maxIncrease: max applies to all requests together',
    fieldPath: '.eachClass',
  });

const errors = goldenMetricNames.filter(isError);
const scores = goldenMetricNames.filter((metric) => !isError(metric));
/** Metrics that can compare answers to generated inputs. */
const generated = goldenMetricNames.filter((metric) => goldenMetrics[metric].generated === true);
const meanings = goldenMetricNames.map((metric) => `${metric}: ${goldenMetrics[metric].says}.`).join(' ');

function needsLimit(metric: GoldenMetric): boolean {
  return goldenMetrics[metric].limit === undefined;
}

/** A list in words: `a, b and c`. */
function listed(words: readonly string[]): string {
  return words.join(', ').replace(/, ([^,]*)$/, ' and $1');
}

/** e.g. `0.99 for Cosine, 1 for ExactMatch` */
function limitsOf(metrics: readonly GoldenMetric[]): string {
  return metrics
    .filter((metric) => !needsLimit(metric))
    .map((metric) => {
      const { min, max } = defaultLimitOf(metric);
      return `${min ?? max} for ${metric}`;
    })
    .join(', ');
}

/** For example `at least 0.99 (Cosine) or at least 1 (Top1Agreement, ExactMatch)` */
function agreements(metrics: readonly LiveMetric[]): string {
  const byBound = Map.groupBy(metrics, (one) => `${isError(one) ? 'at most' : 'at least'} ${agreesFrom(one)}`);
  return [...byBound].map(([bound, names]) => `${bound} (${names.join(', ')})`).join(' or ');
}

/** A list of names, written as a CEL list. */
function celList(names: readonly string[]): string {
  return `[${names.map((name) => `'${name}'`).join(', ')}]`;
}

/** Requires a limit for a metric that has no default limit. */
function limitRule(metric: GoldenMetric): CelRule {
  const field = isError(metric) ? 'max' : 'min';
  return {
    rule: `self.metric != '${metric}' || has(self.${field})`,
    message: `metric ${metric} requires ${field}: ${goldenMetrics[metric].needed}`,
    fieldPath: `.${field}`,
  };
}

const limitedGolden = k
  .object({
    configMapRef: configMapRef()
      .doc(
        'ConfigMap that contains the set, in its only key or in golden.jsonl or golden.bin. It is copied when the ' +
          'rollout begins; later changes do not affect that rollout.',
      )
      .optional(),
    uri: k
      .string({ max: 2048, min: 1, pattern: fileUriPattern })
      .doc(
        'One file with the set, instead of configMapRef: https://, http://, npm: as in spec.model.uri, ' +
          'or a path in the claim of a pvc:// model; in local mode also file:///path. Needs a digest.',
      )
      .optional(),
    digest: digest().doc('SHA-256 of the file at uri, as "sha256:" and 64 hex digits. Required with uri.').optional(),
    metric: k
      .oneOf(goldenMetricNames)
      .doc(`How an answer is compared with the expected one. ${meanings} Without a set: ${generated.join(' or ')}.`),
    min: share()
      .doc(
        `Lowest score that passes, as text from "0" to "1". For ${listed(scores)}; required for ` +
          `${listed(scores.filter(needsLimit))}.`,
      )
      .defaultsTo(limitsOf(scores)),
    max: k
      .string({ max: 16, pattern: '^[0-9]+(\\.[0-9]+)?$' })
      .doc(
        `Highest error that passes, as text, such as "0.001". For ${listed(errors)}; required for ` +
          `${listed(errors.filter(needsLimit))}.`,
      )
      .defaultsTo(limitsOf(errors)),
  })
  .rule({
    rule: '!(has(self.configMapRef) && has(self.uri))',
    message: 'golden must have either configMapRef or uri, not both',
    fieldPath: '.uri',
  })
  .rule({
    rule: 'has(self.uri) == has(self.digest)',
    message: 'golden.uri and golden.digest must be set together',
    fieldPath: '.digest',
  })
  .rule({
    rule: `!has(self.min) || !(self.metric in ${celList(errors)})`,
    message: `min is not allowed with metric ${errors.join(' or ')}: set max`,
    fieldPath: '.min',
  })
  .rule({
    rule: `!has(self.max) || self.metric in ${celList(errors)}`,
    message: `max is only allowed with metric ${errors.join(' or ')}: set min`,
    fieldPath: '.max',
  });

const goldenGate = goldenMetricNames
  .filter(needsLimit)
  .reduce((gate, metric) => gate.rule(limitRule(metric)), limitedGolden)
  .rule({
    rule: `self.metric in ${celList(generated)} || has(self.configMapRef) || has(self.uri)`,
    message: `without a golden set, metric must be ${generated.toSorted().join(' or ')}: set configMapRef or uri`,
    messageExpression:
      `'metric ' + self.metric + ' needs a golden set: set configMapRef or uri, or use ` +
      `${generated.toSorted().join(' or ')}'`,
    fieldPath: '.metric',
  });

export const gatesSchema = k
  .object({
    golden: goldenGate
      .doc(
        'Answers that a candidate must give before it gets traffic. Without configMapRef and uri, inputs are ' +
          "generated from the model's input shapes, and stable's answers are the expected ones. Absent: generated " +
          'inputs, with metric Cosine and min 0.9.',
      )
      .optional(),
    latency: k
      .listMap('name', latencyGate, { max: 8 })
      .doc(
        "Limits of the candidate's latency under traffic. Default: p95 with maxIncrease 15% and minDetectable 100%, " +
          'and p99 with maxIncrease 30%, which can fail but never delays a Pass. Near the end of a step the default ' +
          'p95 also passes if the upper bound of the increase is at most 300% and the estimated increase is below ' +
          '39%. An empty list: latency is not judged.',
      )
      .optional(),
    errors: k
      .object({
        maxIncrease: percent()
          .doc(
            "How many percentage points higher the candidate's error rate may be than stable's: 1% allows " +
              "1.5% when stable's rate is 0.5%. Absent: not compared with stable.",
          )
          .optional(),
        max: percent()
          .doc("Highest error rate of the candidate, independent of stable's, such as 2%. Absent: no such limit.")
          .optional(),
        minDetectable: percent()
          .doc(
            'Percentage points that are enough for a Pass when traffic is too low to show maxIncrease ' +
              "within the step's maxDuration; at least maxIncrease. Absent: the gate stays undecided until " +
              'maxIncrease is shown. Only with maxIncrease.',
          )
          .optional(),
      })
      .rule(minDetectableNeeds)
      .rule(minDetectableIsMore)
      .doc(
        'Limits of the share of requests that fail; failures that the client caused do not count. ' +
          'Default: maxIncrease 1% and minDetectable 5%. Near the end of a step the gate also passes if the upper ' +
          'bound of the increase is at most 10 percentage points and the estimated increase is below 2.2 ' +
          'percentage points. An empty object: errors are not judged.',
      )
      .optional(),
    confidence: k
      .oneOf(['Strict', 'Standard', 'Quick'])
      .doc(
        'How certain a verdict must be; more certainty takes longer. Strict: at most 1% of good candidates are ' +
          'rolled back by mistake, and a Pass always shows maxIncrease. Standard: at most 5%; with little ' +
          'traffic, a larger increase passes after 11/30 of maxDuration, and minDetectable after 22/30. Quick: at ' +
          'most 20%; a larger increase passes after 1/6, and minDetectable after 1/3.',
      )
      .defaultsTo('Standard')
      .optional(),
    quality: k
      .object({
        sampleRate: percent().doc(
          "Share of stable's requests that the candidate also answers while it is idle, such as 5%. Users get " +
            "stable's answers.",
        ),
        metric: k
          .oneOf(liveMetricNames)
          .doc(`How two answers are compared. Two answers agree when the metric is ${agreements(liveMetricNames)}.`),
        min: share().doc('Smallest share of compared answers that must agree, as text, such as "0.98".'),
      })
      .doc(
        'Compares answers of the candidate to live requests with those of stable. Absent: answers are ' +
          'not compared under traffic.',
      )
      .optional(),
    alpha: share()
      .doc(
        'Probability of a wrong rollback in the whole rollout, as text above 0 and below 1, such as ' +
          '"0.05"; it replaces the probability that confidence sets. It is divided among the gates and the ' +
          'judged steps.',
      )
      .defaultsTo('0.01, 0.05 or 0.2 with confidence Strict, Standard or Quick')
      .optional(),
    minRequests: k
      .integer({ min: 0, max: 10000000 })
      .doc(
        'How many requests each revision must have had before an analyze step may pass; 0 to 10000000. A Fail does ' +
          'not wait for them.',
      )
      .defaultsTo('200, or fewer when traffic is too low for that')
      .optional(),
  })
  .rule({
    rule: '!has(self.alpha) || (double(self.alpha) > 0.0 && double(self.alpha) < 1.0)',
    message: 'alpha must be above 0 and below 1',
    messageExpression: "'alpha must be above 0 and below 1 (given: ' + self.alpha + ')'",
    fieldPath: '.alpha',
  });
