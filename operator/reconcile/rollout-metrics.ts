/**
 * Exports rollouts as metrics: outcomes, progress, verdicts of gates, and silent pods, which did not answer the last
 * request for their report.
 *
 * Owns: the onnx_operator_* series and their labels (docs/metrics.md). An outcome is counted only when a status write
 * recorded it, so that a repeated pass does not count it twice.
 * Limits: seven gauges per model and one per gate. When the rollout ends, all gauges except those of pods are removed.
 */
import {
  counter,
  gauge,
  histogram,
  type Counter,
  type Gauge,
  type Histogram,
  type Registry,
} from '../../lib/metrics.ts';
import type { RolloutOutcome } from '../../api/onnxmodel.ts';
import type { Pass } from './reconcile.ts';

type Model = { readonly namespace: string; readonly model: string };
type Verdict = Model & { readonly gate: string; readonly verdict: string };

/** What is remembered of one model between passes. */
type Followed = {
  readonly model: Model;
  candidate: string | undefined;
  /**
   * When the candidate first got traffic, in milliseconds. Undefined before that time, and if the candidate already had
   * traffic when this process started.
   */
  firstTrafficMs: number | undefined;
  /** Whether this process saw the candidate before it got traffic. */
  isSeenFromTheStart: boolean;
  verdicts: readonly Verdict[];
};

const names = ['namespace', 'model'] as const;
/**
 * Bounds of the histogram's buckets. They begin near the shortest time in which a candidate can be judged and end at
 * twelve hours, for a rollout that waits overnight for approval.
 */
const decisionSeconds = [30, 60, 120, 180, 300, 450, 600, 900, 1200, 1800, 2700, 3600, 7200, 14_400, 43_200];

export class RolloutMetrics {
  readonly #isSilent: (podUid: string) => boolean;
  readonly #models = new Map<string, Followed>();
  readonly #ended: Counter<'outcome' | 'reason'>;
  readonly #decided: Histogram<'outcome'>;
  readonly #reports: Counter<never>;
  readonly #step: Gauge<'namespace' | 'model'>;
  readonly #weight: Gauge<'namespace' | 'model' | 'kind'>;
  readonly #verdict: Gauge<'namespace' | 'model' | 'gate' | 'verdict'>;
  readonly #silent: Gauge<'namespace' | 'model'>;
  readonly #ready: Gauge<'namespace' | 'model'>;
  readonly #wanted: Gauge<'namespace' | 'model'>;

  /** @param isSilent whether a watched pod did not answer the last request for its report */
  constructor(registry: Registry, isSilent: (podUid: string) => boolean) {
    this.#isSilent = isSilent;
    this.#ended = counter(registry, {
      name: 'onnx_operator_rollouts_total',
      help: 'Rollouts that ended, by outcome and reason',
      labels: ['outcome', 'reason'],
    });
    this.#decided = histogram(registry, {
      name: 'onnx_operator_rollout_decision_seconds',
      help: "Time from a candidate's first traffic to its promotion or rollback",
      labels: ['outcome'],
      buckets: decisionSeconds,
    });
    this.#reports = counter(registry, {
      name: 'onnx_operator_reports_total',
      help: 'Reports with counts received from pods',
    });
    this.#step = gauge(registry, {
      name: 'onnx_operator_rollout_step',
      help: 'Index of the current step, from 0',
      labels: names,
    });
    this.#weight = gauge(registry, {
      name: 'onnx_operator_rollout_weight_ratio',
      help: "The candidate's share of the traffic: desired by the step, set so far, and actual",
      labels: [...names, 'kind'],
    });
    this.#verdict = gauge(registry, {
      name: 'onnx_operator_gate_verdict',
      help: '1 for the current verdict of a gate',
      labels: [...names, 'gate', 'verdict'],
    });
    this.#silent = gauge(registry, {
      name: 'onnx_operator_silent_pods',
      help: 'Pods that did not answer the last request for their report',
      labels: names,
    });
    this.#ready = gauge(registry, {
      name: 'onnx_operator_ready_pods',
      help: 'Ready pods of a model, of all its revisions',
      labels: names,
    });
    this.#wanted = gauge(registry, {
      name: 'onnx_operator_wanted_replicas',
      help: 'spec.replicas of a model',
      labels: names,
    });
    this.#reports.inc(0);
  }

  reportReceived(): void {
    this.#reports.inc();
  }

  /** @param pass undefined when the model does not exist any more */
  measure(key: string, pass: Pass | undefined): void {
    if (pass === undefined) {
      this.#forget(key);
      return;
    }
    const followed = this.#follow(key, pass);
    this.#noteEnd(followed, pass);
    noteTraffic(followed, pass);
    this.#notePlace(followed, pass);
    this.#noteVerdicts(followed, pass);
    const uids = [...pass.seen.pods.values()].flat().map((pod) => pod.metadata.uid ?? '');
    this.#ready.set(followed.model, pass.status.readyReplicas ?? 0);
    this.#wanted.set(followed.model, pass.seen.model.spec.replicas ?? 1);
    this.#silent.set(followed.model, uids.filter((uid) => this.#isSilent(uid)).length);
  }

  #follow(key: string, { seen: { model } }: Pass): Followed {
    const { name, namespace } = model.metadata;
    const followed = this.#models.get(key) ?? {
      model: { namespace, model: name },
      candidate: undefined,
      firstTrafficMs: undefined,
      isSeenFromTheStart: false,
      verdicts: [],
    };
    this.#models.set(key, followed);
    return followed;
  }

  #notePlace({ model }: Followed, { status: { rollout = { phase: '' } } }: Pass): void {
    const { step, desiredWeight: desired, setWeight: set = desired, actualWeight: actual } = rollout;
    if (step === undefined) this.#step.remove(model);
    else this.#step.set(model, step);
    this.#noteWeights(model, step === undefined ? {} : { desired, set, actual });
  }

  #noteWeights(model: Model, percents: Partial<Record<(typeof kinds)[number], number | undefined>>): void {
    for (const kind of kinds) {
      const percent = percents[kind];
      if (percent === undefined) this.#weight.remove({ ...model, kind });
      else this.#weight.set({ ...model, kind }, percent / 100);
    }
  }

  #noteVerdicts(followed: Followed, { status: { rollout } }: Pass): void {
    const gates = rollout?.step === undefined ? [] : (rollout.gates ?? []);
    for (const verdict of followed.verdicts) this.#verdict.remove(verdict);
    followed.verdicts = gates.map(({ name, verdict }) => ({ ...followed.model, gate: name, verdict }));
    for (const verdict of followed.verdicts) this.#verdict.set(verdict, 1);
  }

  /** Uses the candidate known before this pass, because a promoted revision is not the candidate any more. */
  #noteEnd(followed: Followed, { seen, status, now }: Pass): void {
    const ended = newest(status.history, seen.model.status?.history);
    if (ended === undefined) return;
    const { outcome, reason, revision } = ended;
    this.#ended.inc({ outcome, reason });
    const { candidate, firstTrafficMs } = followed;
    if (revision !== candidate) return;
    if (firstTrafficMs !== undefined) this.#decided.observe({ outcome }, (now - firstTrafficMs) / 1000);
    followed.firstTrafficMs = undefined;
    followed.isSeenFromTheStart = false;
  }

  #forget(key: string): void {
    const followed = this.#models.get(key);
    if (followed === undefined) return;
    this.#models.delete(key);
    this.#step.remove(followed.model);
    this.#silent.remove(followed.model);
    this.#ready.remove(followed.model);
    this.#wanted.remove(followed.model);
    this.#noteWeights(followed.model, {});
    for (const verdict of followed.verdicts) this.#verdict.remove(verdict);
  }
}

function noteTraffic(followed: Followed, { status: { candidate, rollout }, now }: Pass): void {
  const hasTraffic = (rollout?.actualWeight ?? 0) > 0;
  if (followed.candidate !== candidate?.revision) {
    followed.candidate = candidate?.revision;
    followed.firstTrafficMs = undefined;
    followed.isSeenFromTheStart = !hasTraffic;
  }
  if (hasTraffic && followed.isSeenFromTheStart) followed.firstTrafficMs ??= now;
}

const kinds = ['desired', 'set', 'actual'] as const;

/** The newest line of the history, if this pass added the line; otherwise undefined. */
function newest(
  after: readonly RolloutOutcome[] = [],
  before: readonly RolloutOutcome[] = [],
): RolloutOutcome | undefined {
  const [first] = after;
  const [known] = before;
  return first === undefined ||
    (known !== undefined &&
      known.at === first.at &&
      known.revision === first.revision &&
      known.outcome === first.outcome)
    ? undefined
    : first;
}
