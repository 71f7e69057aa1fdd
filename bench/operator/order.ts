/**
 * The flags of the bench: the operator, the API server, the scenarios, and the size of the scenarios.
 * Owns: the flags, their defaults and bounds.
 * Pure, except that it reads the files that flags name.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { AppError, messageOf } from '../../api/errors.ts';
import { parseDurationMs } from '../../api/units.ts';
import { parseOnlyFlags } from '../../lib/flags.ts';
import type { KubeObject } from '../../api/kube-object.ts';

export const scenarioNames = ['cold', 'change', 'quiet', 'restart', 'analysis', 'releaseDay', 'nodeLost'] as const;
export type ScenarioName = (typeof scenarioNames)[number];

/** The scenarios of `--quick`. They do not need traffic or reports. */
const quickScenarios: readonly ScenarioName[] = ['cold', 'change', 'quiet', 'restart'];
/** The scenarios that can measure another operator. All other scenarios need our sidecars and our status. */
const foreignScenarios = quickScenarios;

/** Another operator to measure instead of ours. */
export type ForeignOperator = {
  readonly argv: readonly string[];
  readonly readyUrl: string | undefined;
  /** The CustomResourceDefinition of the operator's objects; undefined when the operator uses our definition. */
  readonly definition: KubeObject | undefined;
  /** An object of this operator, in which `{name}` stands for the name. */
  readonly object: KubeObject | undefined;
  /** A merge patch for an object of this operator, in which `{value}` stands for a text that changes. */
  readonly change: object | undefined;
};

export type Order = {
  readonly scenarios: readonly ScenarioName[];
  readonly models: number;
  /** Pods of each model in the scenarios cold, change, quiet and restart. */
  readonly replicas: number;
  /** The number of specs that the scenario `change` changes. */
  readonly changes: number;
  /** The number of pods that vanish in the scenario `nodeLost`. */
  readonly lost: number;
  readonly quietMs: number;
  readonly analysisMs: number;
  /** The time over which the changes of `releaseDay` are spread. */
  readonly releaseMs: number;
  /** The operator counts as finished when it has not sent a request for this number of milliseconds. */
  readonly calmMs: number;
  readonly foreign: ForeignOperator | undefined;
  /** Additional arguments of our operator's command. */
  readonly operatorArgs: readonly string[];
  readonly json: boolean;
  readonly record: string | undefined;
  readonly compare: string | undefined;
};

export const benchHelp = `Usage: npm run bench:operator -- [options]

Starts an API server and an operator, plays kubelet and sidecars, and counts the operator's requests by verb and kind.
The API server is etcd and kube-apiserver from the folder in KUBEBUILDER_ASSETS, or local mode's where that is not set.
docs/performance.md describes the scenarios and what the numbers mean.

  --only NAME           ${scenarioNames.slice(0, 4).join(', ')},
                        ${scenarioNames.slice(4).join(', ')}; may be repeated (default: all)
  --quick               20 models and only the first four scenarios, for CI
  --models N            number of models (default: 200)
  --replicas N          pods of each model in the first four scenarios (default: 0)
  --changes N           changed specs of "change" (default: as many as models, at most 200)
  --lost N              pods that "nodeLost" loses (default: 100)
  --quiet DURATION      length of "quiet" (default: 60s)
  --analysis DURATION   length of "analysis" before the candidates fail (default: 60s)
  --release DURATION    time over which "releaseDay" changes all specs (default: 60s)
  --calm DURATION       the operator has finished after this long without a request (default: 3s)
  --operator-arg ARG    added to our operator's command, such as --operator-arg=--workers=8; may be repeated
  --command TEXT        another operator: program and arguments, separated by spaces; it gets KUBECONFIG
  --ready URL           answers 200 when the other operator is ready
  --crd FILE            the other operator's definition (default: ours)
  --object FILE         the other operator's object, with {name} for the name (default: ours)
  --change JSON         merge patch of it with {value}, a text that must appear in a Deployment (default: ours)
  --json                one JSON document on standard output instead of a table
  --record FILE         writes the counts and figures to FILE, beside those of other settings
  --compare FILE        fails when requests or writes are more than those recorded for this setting
  --help
`;

const options = {
  only: { type: 'string', multiple: true },
  quick: { type: 'boolean', default: false },
  models: { type: 'string' },
  replicas: { type: 'string', default: '0' },
  changes: { type: 'string' },
  lost: { type: 'string', default: '100' },
  quiet: { type: 'string' },
  analysis: { type: 'string', default: '60s' },
  release: { type: 'string', default: '60s' },
  calm: { type: 'string', default: '3s' },
  'operator-arg': { type: 'string', multiple: true },
  command: { type: 'string' },
  ready: { type: 'string' },
  crd: { type: 'string' },
  object: { type: 'string' },
  change: { type: 'string' },
  json: { type: 'boolean', default: false },
  record: { type: 'string' },
  compare: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

type Flags = ReturnType<typeof parseOnlyFlags<typeof options>>;

/** @returns 'help' when --help was given. @throws AppError BAD_FLAG, FILE_UNREADABLE */
export function readOrder(argv: readonly string[]): Order | 'help' {
  const flags = parseOnlyFlags('bench:operator', argv, options);
  if (flags.help) return 'help';
  const { quick, json, record, compare } = flags;
  const foreign = foreignOf(flags);
  const models = wholeNumber('--models', flags.models ?? (quick ? '20' : '200'), { min: 1, max: 5000 });
  return {
    scenarios: scenariosOf(flags, foreign),
    models,
    replicas: wholeNumber('--replicas', flags.replicas, { min: 0, max: 20 }),
    changes: Math.min(models, wholeNumber('--changes', flags.changes ?? '200', { min: 1, max: 5000 })),
    lost: wholeNumber('--lost', flags.lost, { min: 1, max: 5000 }),
    quietMs: duration('--quiet', flags.quiet ?? (quick ? '5s' : '60s')),
    analysisMs: duration('--analysis', flags.analysis),
    releaseMs: duration('--release', flags.release),
    calmMs: duration('--calm', flags.calm),
    foreign,
    operatorArgs: flags['operator-arg'] ?? [],
    json,
    record,
    compare,
  };
}

/** A name for the settings on which counts depend. Counts of different settings cannot be compared. */
export function settingOf(order: Order, server: string): string {
  const operator = order.foreign === undefined ? '' : `, ${order.foreign.argv.join(' ')}`;
  return `${server} API server, ${order.models} models with ${order.replicas} pods${operator}`;
}

function scenariosOf({ only = [], quick }: Flags, foreign: ForeignOperator | undefined): readonly ScenarioName[] {
  const possible: readonly ScenarioName[] = foreign === undefined ? scenarioNames : foreignScenarios;
  const wanted = only.map((name) => {
    const found = possible.find((one) => one === name);
    if (found !== undefined) return found;
    throw new AppError('BAD_FLAG', { flag: '--only', problem: `'${name}' is not one of ${possible.join(', ')}` });
  });
  if (wanted.length > 0) return possible.filter((name) => wanted.includes(name));
  return quick ? quickScenarios : possible;
}

function foreignOf({ command, ready, crd, object, change }: Flags): ForeignOperator | undefined {
  if (command === undefined) {
    const given = Object.entries({ ready, crd, object, change }).find(([, value]) => value !== undefined);
    if (given === undefined) return undefined;
    throw new AppError('BAD_FLAG', { flag: `--${given[0]}`, problem: 'needs --command' });
  }
  return {
    argv: command.split(' ').filter((part) => part !== ''),
    readyUrl: ready,
    definition: crd === undefined ? undefined : (parse(contentOf(crd)) as KubeObject),
    object: object === undefined ? undefined : (parse(contentOf(object)) as KubeObject),
    change: change === undefined ? undefined : changeIn(change),
  };
}

function changeIn(text: string): object {
  try {
    return JSON.parse(text) as object;
  } catch (error) {
    throw new AppError('BAD_FLAG', { flag: '--change', problem: `is not JSON: ${messageOf(error)}` }, { cause: error });
  }
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new AppError('FILE_UNREADABLE', { path, why: messageOf(error) }, { cause: error });
  }
}

function wholeNumber(flag: string, text: string, { min, max }: { readonly min: number; readonly max: number }): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new AppError('BAD_FLAG', { flag, problem: `'${text}' is not a whole number from ${min} to ${max}` });
}

function duration(flag: string, text: string): number {
  const ms = parseDurationMs(text);
  if (ms !== undefined) return ms;
  throw new AppError('BAD_FLAG', { flag, problem: `'${text}' is not a duration such as 500ms, 10s or 1m30s` });
}
