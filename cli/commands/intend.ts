/**
 * `kubectl-onnx promote | abort | retry | pause | resume | pin | unpin`: one intent each (a request for one action),
 * written into spec.rollout.
 *
 * Owns: the flags, help texts and output of these commands. intents.ts decides what they write. Exits with 0 when the
 * intent was written or the model already had the requested state, 2 when the intent was refused. With --wait, it exits
 * as `wait` does.
 */
import { AppError } from '../../api/errors.ts';
import { toApiTime } from '../../api/conditions.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { systemClock } from '../../lib/clock.ts';
import { parseFlags } from '../../lib/flags.ts';
import { exitCodes, type ExitCode } from '../../lib/lifecycle.ts';
import { changeModel, observed, type ModelChange, type ChangeDeps } from '../cluster/change-model.ts';
import { clusterFlags, clusterFlagsHelp, modelName } from '../cluster/cluster-flags.ts';
import { openCluster, type Cluster } from '../cluster/api-server.ts';
import {
  abort,
  pause,
  pin,
  promote,
  resume,
  tryAgain,
  unpin,
  type Intent,
  type IntentFields,
  type Move,
} from '../cluster/intents.ts';
import type { ModelRef } from '../cluster/models.ts';
import { cliManager, manifestOwners } from '../cluster/ownership.ts';
import { plainLine } from '../text/plain-text.ts';
import { namedRevision, rememberedRevisions } from '../cluster/remembered-revisions.ts';
import type { RolloutStanding } from '../cluster/standing.ts';
import { waitFlags, waitFor, waitHelpLines, waitPlanOf } from './wait.ts';

type Verb = {
  readonly intent: Intent;
  readonly about: string;
  readonly text: string;
  /** How the user names a revision: with --revision or as the second argument. Absent: the user cannot name one. */
  readonly revision?: 'flag' | 'argument';
  /** What the command waits for in the status before it decides. Absent: it decides at once. */
  readonly settled?: NonNullable<ChangeDeps['settled']>;
  /** True: the command starts or continues a rollout, so --wait is allowed. */
  readonly canWait: boolean;
};

/**
 * What `retry` waits for: the operator ignores a retry token that arrives while the candidate's traffic still moves
 * back to stable.
 */
const trafficIsBack = {
  is: (standing: RolloutStanding): boolean => standing.observed && standing.stage !== 'Leaving',
  withinMs: 120_000,
};

export const verbs = {
  promote: {
    intent: promote,
    revision: 'flag',
    settled: observed,
    canWait: true,
    about: 'give the candidate all the traffic and skip its remaining gates',
    text:
      'Gives the candidate all the traffic as soon as its pods can carry it. The remaining steps and gates are ' +
      'skipped.\nA candidate that was given up must be named with --revision.',
  },
  abort: {
    intent: abort,
    revision: 'flag',
    settled: observed,
    canWait: false,
    about: 'give the candidate up; stable keeps serving',
    text:
      'Moves the traffic of the candidate back to stable at once and gives the candidate up. It is not tried again ' +
      'until\n"retry" or a new spec.',
  },
  retry: {
    intent: tryAgain,
    revision: 'flag',
    settled: trafficIsBack,
    canWait: true,
    about: 'retry the revision that was given up',
    text:
      'Retries the revision that was given up, from its first step. Also removes abortRevision if it names that ' +
      'revision.\nIf its traffic is still moving back to stable, the command first waits until it has moved, for at ' +
      'most two minutes.',
  },
  pause: {
    intent: pause,
    canWait: false,
    about: 'hold a rollout at its current weight',
    text: 'Holds the rollout at its current weight; its timers stop. A failing gate still rolls the candidate back.',
  },
  resume: {
    intent: resume,
    revision: 'flag',
    settled: observed,
    canWait: true,
    about: 'end a pause of any kind',
    text:
      'If "pause" holds the rollout, ends the hold. Otherwise ends the current pause of the rollout. The pause may ' +
      'be caused\nby a pause step, an undecided gate, missing reports, an unhealthy stable revision, or another ' +
      'writer that changes the\nweights of the route.',
  },
  pin: {
    intent: pin,
    revision: 'argument',
    canWait: false,
    about: 'serve a revision of the history, regardless of the spec',
    text:
      'Serves REVISION, which must be in the revision history, until "unpin", regardless of the rest of the spec.\n' +
      'For use during an incident.',
  },
  unpin: {
    intent: unpin,
    canWait: true,
    about: 'end "pin"',
    text: 'Removes the pin: the operator serves the revision of the spec.',
  },
} as const satisfies Readonly<Record<string, Verb>>;

export type VerbName = keyof typeof verbs;

export function intendHelp(name: VerbName): string {
  const verb: Verb = verbs[name];
  const revision = verb.revision === 'flag' ? '  --revision R        refuse unless the candidate is R\n' : '';
  return `Usage: kubectl-onnx ${name} NAME${verb.revision === 'argument' ? ' REVISION' : ''} [options]

${verb.text}

${revision}${verb.canWait ? waitHelpLines : ''}${clusterFlagsHelp}

A revision is given by its ten hex digits, or by the first four or more of them. The command writes a field of
spec.rollout as the field manager ${cliManager}.

Exit codes: 0 written, or nothing to change; 2 refused, wrong flags, or no such model; 4 the API server cannot be \
reached${verb.canWait ? ';\nwith --wait the exit codes of "wait"' : ''}.
`;
}

const flags = { ...clusterFlags, ...waitFlags, revision: { type: 'string' } } as const;

/** Returns the command of one intent. */
export function intend(name: VerbName) {
  return async (argv: readonly string[], write: (text: string) => void, stop: AbortSignal): Promise<ExitCode> => {
    const { values, positionals } = parseFlags(name, argv, flags);
    if (values.help) {
      write(intendHelp(name));
      return exitCodes.ok;
    }
    const verb: Verb = verbs[name];
    const [first, ...more] = positionals;
    const asked = revisionOf(verb, more, values.revision);
    const plan = waitPlanOf(values);
    if (plan !== undefined && !verb.canWait)
      throw new AppError('BAD_FLAG', {
        flag: '--wait',
        problem: `not available for "${name}", which starts no rollout`,
      });
    const model = modelName(first);
    const cluster = await openCluster(values);
    const ref = { name: model, namespace: values.namespace ?? cluster.namespace };
    const written = await carryOut({ name, cluster, ref, write, stop }, await fullRevision(verb, cluster, ref, asked));
    return plan === undefined || !written ? exitCodes.ok : waitFor(cluster, ref, plan, { write, stop });
  };
}

function revisionOf(verb: Verb, more: readonly string[], flag: string | undefined): string | undefined {
  const [argument, ...others] = more;
  if (flag !== undefined && verb.revision !== 'flag')
    throw new AppError('BAD_FLAG', { flag: '--revision', problem: 'not available for this command' });
  if (verb.revision === 'argument' && argument === undefined)
    throw new AppError('BAD_FLAG', {
      flag: 'REVISION',
      problem: 'missing; give the revision to serve ("status" shows the revisions of the last rollouts)',
    });
  if ((verb.revision === 'argument' ? others : more).length > 0)
    throw new AppError('BAD_FLAG', {
      flag: 'NAME',
      problem: `give the name of one OnnxModel (got ${more.length + 1} arguments)`,
    });
  return verb.revision === 'argument' ? argument : flag;
}

/** Completes a prefix of a revision to its ten hex digits. */
async function fullRevision(
  verb: Verb,
  cluster: Cluster,
  ref: ModelRef,
  asked: string | undefined,
): Promise<string | undefined> {
  if (asked === undefined || (verb.revision === 'flag' && /^[0-9a-f]{10}$/.test(asked))) return asked;
  return namedRevision(
    await rememberedRevisions(cluster, ref),
    asked,
    verb.revision === 'flag' ? '--revision' : 'REVISION',
  ).revision;
}

type Carrying = {
  readonly name: VerbName;
  readonly cluster: Cluster;
  readonly ref: ModelRef;
  readonly write: (text: string) => void;
  readonly stop: AbortSignal;
};

/** Writes the intent, or prints why there is nothing to write. @returns whether anything was written */
async function carryOut({ name, cluster, ref, write, stop }: Carrying, revision: string | undefined): Promise<boolean> {
  const verb: Verb = verbs[name];
  let said = '';
  let warnings: readonly string[] = [];
  let isTakenOut = false;
  const decide = (model: OnnxModel): ModelChange | undefined => {
    const token = newToken(model);
    const move: Move = verb.intent(model, { revision, token });
    if (move.kind === 'Refuse')
      throw new AppError('INTENT_REFUSED', {
        model: `${ref.namespace}/${ref.name}`,
        intent: name,
        why: plainLine(move.why),
      });
    isTakenOut = move.kind === 'TakeOut';
    if (move.kind !== 'TakeOut') said = plainLine(move.say);
    if (move.kind === 'Nothing') return undefined;
    warnings = warningsOf(model, move.set);
    return {
      kind: 'Merge',
      patch: { metadata: { resourceVersion: model.metadata.resourceVersion }, spec: { rollout: move.set } },
    };
  };
  const changing = { clock: systemClock, signal: stop, settled: verb.settled };
  let written = await changeModel(cluster, ref, changing, decide);
  if (isTakenOut) written = await changeModel(cluster, ref, changing, decide);
  for (const warning of warnings) write(`warning: ${warning}\n`);
  write(`${ref.namespace}/${ref.name}: ${name}${written ? '' : ' (nothing to do)'}: ${said}\n`);
  return written;
}

/** A retry token that differs from the token in the spec. It is the current time, so that users can read it. */
function newToken({ spec }: OnnxModel): string {
  const time = toApiTime(systemClock.now());
  return spec.rollout?.retryToken === time ? `${time}-2` : time;
}

function warningsOf({ metadata }: OnnxModel, set: IntentFields): readonly string[] {
  return Object.keys(set).flatMap((field) =>
    manifestOwners(metadata, field).map(
      (owner) =>
        `spec.rollout.${field} is also set in the manifest of ${plainLine(owner)}, which will restore its own ` +
        'value: change it there too',
    ),
  );
}
