/**
 * `kubectl-onnx promote | abort | retry | pause | resume | pin | unpin`: one intent each, written into spec.rollout.
 *
 * Owns:  the flags, the help and the words of these commands. What they write: intents.ts.
 * Ends:  0 when it is written or was so already, 2 when it is refused; with --wait as `wait` does.
 */
import { AppError } from '../../api/errors.ts';
import { toApiTime } from '../../api/conditions.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { systemClock } from '../../lib/clock.ts';
import { parseFlags } from '../../lib/flags.ts';
import { exitCodes, type ExitCode } from '../../lib/lifecycle.ts';
import { changeModel, observed, type ModelChange, type Changing } from '../cluster/change-model.ts';
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
  /** Where the revision is said: by --revision, as the second argument, or nowhere. */
  readonly revision?: 'flag' | 'argument';
  /** What its decision rests on. Absent: nothing but the spec. */
  readonly settled?: NonNullable<Changing['settled']>;
  /** Something begins that can be waited for. */
  readonly canWait: boolean;
};

/** While its traffic goes back a revision is not given up yet; a token that comes then asks for nothing later. */
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
    about: 'give the candidate all the traffic, whatever its gates say',
    text:
      'Gives the candidate all the traffic as soon as its pods can carry it. Steps and gates that are left are ' +
      'skipped. One that was\ngiven up has to be named.',
  },
  abort: {
    intent: abort,
    revision: 'flag',
    settled: observed,
    canWait: false,
    about: 'give the candidate up; what serves goes on serving',
    text:
      'Takes the traffic of the candidate back at once and gives it up. It is not tried again until "retry" or a ' +
      'new spec.',
  },
  retry: {
    intent: tryAgain,
    revision: 'flag',
    settled: trafficIsBack,
    canWait: true,
    about: 'try a revision again that was given up',
    text:
      'Tries the revision that was given up once more, from its first step. An abort of it is taken back.\nWhile ' +
      'its traffic still goes back that is waited for, up to two minutes.',
  },
  pause: {
    intent: pause,
    canWait: false,
    about: 'hold a rollout where it is',
    text: 'Holds the rollout at its weight; its clocks stand still. A gate that fails still takes the traffic back.',
  },
  resume: {
    intent: resume,
    revision: 'flag',
    settled: observed,
    canWait: true,
    about: 'end a pause, whatever it is for',
    text:
      'Ends what holds the rollout: a pause by hand first, else the pause that it is in - of its step, for a gate ' +
      'that stays undecided,\nfor pods that are silent, for a stable revision that is not well, for weights that ' +
      'somebody else writes.',
  },
  pin: {
    intent: pin,
    revision: 'argument',
    canWait: false,
    about: 'serve a remembered revision, whatever the spec says',
    text:
      'Serves REVISION, one that is remembered, whatever the rest of the spec says, until "unpin". For the middle ' +
      'of an incident.',
  },
  unpin: {
    intent: unpin,
    canWait: true,
    about: 'let the spec say again what serves',
    text: 'Ends "pin": the spec says again what serves.',
  },
} as const satisfies Readonly<Record<string, Verb>>;

export type VerbName = keyof typeof verbs;

export function intendHelp(name: VerbName): string {
  const verb: Verb = verbs[name];
  const revision =
    verb.revision === 'flag' ? '  --revision R        refuse unless this is the revision that is meant\n' : '';
  return `Usage: kubectl-onnx ${name} NAME${verb.revision === 'argument' ? ' REVISION' : ''} [options]

${verb.text}

${revision}${verb.canWait ? waitHelpLines : ''}${clusterFlagsHelp}

A revision is its ten hex digits or their beginning, four at the least. What is written is a field of spec.rollout, \
under
the field manager ${cliManager}, and names the revision it means.

Exit codes: 0 written, or so already; 2 refused, wrong flags, or no such model; 4 the API server cannot be \
reached${verb.canWait ? ';\nwith --wait those of "wait"' : ''}.
`;
}

const flags = { ...clusterFlags, ...waitFlags, revision: { type: 'string' } } as const;

/** The command of one intent. */
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
        problem: `is not for ${name}: nothing begins that could be waited for`,
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
    throw new AppError('BAD_FLAG', { flag: '--revision', problem: 'is not for this command' });
  if (verb.revision === 'argument' && argument === undefined)
    throw new AppError('BAD_FLAG', {
      flag: 'REVISION',
      problem: 'is missing: the revision to serve; "status" shows those of the last rollouts',
    });
  if ((verb.revision === 'argument' ? others : more).length > 0)
    throw new AppError('BAD_FLAG', {
      flag: 'NAME',
      problem: `needs one name of an OnnxModel, got ${more.length + 1} arguments`,
    });
  return verb.revision === 'argument' ? argument : flag;
}

/** The ten digits of a revision of which the beginning was given. */
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

/** @returns whether anything was written */
async function carryOut({ name, cluster, ref, write, stop }: Carrying, revision: string | undefined): Promise<boolean> {
  const verb: Verb = verbs[name];
  let said = '';
  let warnings: readonly string[] = [];
  let isTakenOut = false;
  const decide = (model: OnnxModel): ModelChange | undefined => {
    const token = newToken(model);
    const move: Move = verb.intent(model, { revision, token });
    if (move.do === 'Refuse')
      throw new AppError('INTENT_REFUSED', {
        model: `${ref.namespace}/${ref.name}`,
        intent: name,
        why: plainLine(move.why),
      });
    isTakenOut = move.do === 'TakeOut';
    if (move.do !== 'TakeOut') said = plainLine(move.say);
    if (move.do === 'Nothing') return undefined;
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

/** A time, as whoever reads the spec later would like to know; never the token that is there. */
function newToken({ spec }: OnnxModel): string {
  const time = toApiTime(systemClock.now());
  return spec.rollout?.retryToken === time ? `${time}-2` : time;
}

function warningsOf({ metadata }: OnnxModel, set: IntentFields): readonly string[] {
  return Object.keys(set).flatMap((field) =>
    manifestOwners(metadata, field).map(
      (owner) =>
        `spec.rollout.${field} is in the manifest that ${plainLine(owner)} keeps, which will put its own value ` +
        'back: change it there too',
    ),
  );
}
