/**
 * The kinds of gates under traffic, and the parts of spec.rollout.gates from which they are made.
 *
 * Owns: the tables. Code outside this folder does not test for a gate's kind. To add a kind, add its file and its rows
 * in these tables.
 * Pure.
 */
import {
  errorsIncrease,
  errorsLimit,
  errorsPart,
  type ErrorsIncrease,
  type ErrorsLimit,
  type ErrorsSpec,
} from './errors.ts';
import {
  latencyIncrease,
  latencyLimit,
  latencyPart,
  type LatencyIncrease,
  type LatencyLimit,
  type LatencySpec,
} from './latency.ts';
import type { GateKind, GatePart } from './kind.ts';
import { disagreementLimit, qualityPart, type DisagreementLimit, type QualitySpec } from './quality.ts';

export type TrafficGate = LatencyIncrease | LatencyLimit | ErrorsIncrease | ErrorsLimit | DisagreementLimit;

export const gateKinds: Readonly<Record<TrafficGate['kind'], GateKind>> = {
  'latency-increase': latencyIncrease,
  'latency-limit': latencyLimit,
  'errors-increase': errorsIncrease,
  'errors-limit': errorsLimit,
  'disagreement-limit': disagreementLimit,
};

/** The parts of spec.rollout.gates that are judged under traffic, as the user wrote them. */
export type PartsSpec = {
  readonly latency?: readonly LatencySpec[];
  readonly errors?: ErrorsSpec;
  readonly quality?: QualitySpec;
};
export type PartName = keyof PartsSpec;

type Parts = Readonly<Record<PartName, GatePart<PartsSpec, TrafficGate>>>;

export const gateParts: Parts = { latency: latencyPart, errors: errorsPart, quality: qualityPart };

/** @throws AppError FIELD_INVALID */
export function gatesIn(gates: PartsSpec): readonly TrafficGate[] {
  const parts = Object.values(gateParts);
  const taken = new Set(parts.flatMap(({ names }) => names));
  return parts.flatMap(({ read }) => read(gates, taken));
}

export function kindOfGate({ kind }: Pick<TrafficGate, 'kind'>): GateKind {
  return gateKinds[kind];
}

/** A gate that compares the candidate with stable. */
export type ComparedGate = Extract<TrafficGate, { readonly kind: `${string}-increase` }>;
/** A gate over latencies. */
export type LatencyGate = Extract<TrafficGate, { readonly quantile: number }>;
export type ComparedLatencyGate = LatencyGate & ComparedGate;
/** A gate on the share of events among requests or among compared answers. */
export type RateGate = Exclude<TrafficGate, LatencyGate>;

export function isCompared(gate: TrafficGate): gate is ComparedGate {
  return kindOfGate(gate).isCompared;
}

export function isOverLatency(gate: TrafficGate): gate is LatencyGate {
  return kindOfGate(gate).counts === 'latency';
}

/**
 * Whether the gate compares latency with stable's. Such a gate can use pairs (the service times of the same request on
 * both revisions), and its result depends on the load.
 */
export function isLatencyCompared(gate: TrafficGate): gate is ComparedLatencyGate {
  return isCompared(gate) && isOverLatency(gate);
}

/** The increase over stable that a gate allows: a ratio minus one, or a share of requests. */
export function increaseIn(gate: ComparedGate): number {
  return 'tolerance' in gate ? gate.tolerance : gate.increase;
}
