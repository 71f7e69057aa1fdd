/**
 * Gates on latency: relative to stable, or with a limit in milliseconds.
 *
 * Pure.
 */
import { parseDurationMs } from '../../../api/units.ts';
import {
  numberBetween,
  detectable,
  percentIn,
  wrongField,
  type GateKind,
  type GatePart,
  type Relative,
} from './kind.ts';

export type LatencyIncrease = {
  readonly kind: 'latency-increase';
  readonly quantile: number;
  readonly tolerance: number;
  /** True: each tier and size of requests is also judged (classes.ts). */ readonly eachClass?: true;
} & Relative;

export type LatencyLimit = {
  readonly kind: 'latency-limit';
  readonly name: string;
  readonly quantile: number;
  readonly maxMs: number;
};

/** One element of spec.rollout.gates.latency, as the user wrote it. */
export type LatencySpec = {
  readonly name: string;
  readonly quantile: string;
  readonly maxIncrease?: string;
  readonly max?: string;
  readonly minDetectable?: string;
  readonly eachClass?: boolean;
};

export const latencyIncrease: GateKind = {
  order: 0,
  isCompared: true,
  counts: 'latency',
  isForShadow: true,
  isForOne: false,
  failed: 'LatencyGateFailed',
  imagined: 'lnSlower',
  unit: '%',
  fails: (much, name) => `${name} is ${much} above stable`,
};

export const latencyLimit: GateKind = {
  order: 0,
  isCompared: false,
  counts: 'latency',
  isForShadow: false,
  isForOne: true,
  failed: 'LatencyGateFailed',
  fails: (much, name) => `${name} is ${much}`,
};

export const latencyPart: GatePart<{ readonly latency?: readonly LatencySpec[] }, LatencyIncrease | LatencyLimit> = {
  names: [],
  read: ({ latency = [] }, taken) => latency.map((gate, index) => gateIn(gate, index, taken)),
};

function gateIn(gate: LatencySpec, index: number, taken: ReadonlySet<string>): LatencyIncrease | LatencyLimit {
  const at = `spec.rollout.gates.latency[${index}]`;
  const quantile = numberBetween(gate.quantile, `${at}.quantile`, [0, 1]);
  const { name } = gate;
  if (taken.has(name)) throw wrongField(`${at}.name`, `'${name}' is the name of another gate`);
  if ((gate.max === undefined) === (gate.maxIncrease === undefined))
    throw wrongField(at, 'must have either max or maxIncrease');
  if (gate.max === undefined) {
    const tolerance = percentIn(gate.maxIncrease ?? '', `${at}.maxIncrease`);
    const each = gate.eachClass === true ? { eachClass: true as const } : {};
    return {
      kind: 'latency-increase',
      name,
      quantile,
      tolerance,
      ...detectable(gate.minDetectable, tolerance, `${at}.minDetectable`),
      ...each,
    };
  }
  if (gate.eachClass !== undefined)
    throw wrongField(`${at}.eachClass`, 'requires maxIncrease: a limit in milliseconds applies to all requests');
  if (gate.minDetectable !== undefined)
    throw wrongField(`${at}.minDetectable`, 'requires maxIncrease: a limit in milliseconds is never relaxed');
  const maxMs = parseDurationMs(gate.max);
  if (maxMs === undefined || maxMs <= 0)
    throw wrongField(`${at}.max`, `'${gate.max}' is not a duration above 0, such as 60ms`);
  return { kind: 'latency-limit', name, quantile, maxMs };
}
