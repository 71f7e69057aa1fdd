/**
 * What each intent writes into spec.rollout, and when it is refused.
 *
 * Rule:  an intent names the revision it means, so one that comes late hits nothing else. One that would change
 *        nothing is no mistake; one that could only surprise is refused, with what to do instead.
 * Pure:  a model as it is → a move.
 */
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { lastKnownOf } from '../../operator/rollout/last-words.ts';
import { proves } from '../../operator/rollout/provenance.ts';
import { standingOf, type RolloutStanding } from './standing.ts';
import { ownRolloutFields } from './ownership.ts';
import { ownValue } from '../../api/record.ts';

/** Fields of spec.rollout; null takes one out. */
export type IntentFields = {
  readonly paused?: boolean | null;
  readonly abortRevision?: string | null;
  readonly promoteRevision?: string | null;
  readonly pinRevision?: string | null;
  readonly resumeStep?: string | null;
  readonly retryToken?: string | null;
};

export type Move =
  | { readonly do: 'Patch'; readonly set: IntentFields; readonly say: string }
  /**
   * To be written, and seen by the operator, before the intent is asked again: the same words would say nothing new.
   */
  | { readonly do: 'TakeOut'; readonly set: IntentFields }
  /** It is so already. */
  | { readonly do: 'Nothing'; readonly say: string }
  | { readonly do: 'Refuse'; readonly why: string };

/** @param asked what the command line adds: a revision, a token */
export type Intent = (
  model: OnnxModel,
  asked: { readonly revision?: string | undefined; readonly token: string },
) => Move;

const refuse = (why: string): Move => ({ do: 'Refuse', why });
const nothing = (say: string): Move => ({ do: 'Nothing', say });

/** The candidate gets all the traffic, whatever its gates say. */
export const promote: Intent = (model, { revision }) => {
  const standing = standingOf(model);
  const { rollout = {} } = model.spec;
  const target = targetOf(standing, revision);
  if (typeof target !== 'string') return target;
  const wasRefused = standing.stage === 'GivenUp' || standing.stage === 'Leaving';
  // It may have failed a moment ago, and whoever typed this not know it.
  if (wasRefused && revision === undefined)
    return refuse(
      `${givenUpWords(target, standing.message)}. To promote it nevertheless, name it with --revision ${target}`,
    );
  const asked = askedBefore(model, target, wasRefused);
  if (asked !== undefined) return asked;
  const held = rollout.paused === true ? '; spec.rollout.paused holds it until "resume"' : '';
  return patch(
    model,
    { promoteRevision: target, ...without(rollout, 'abortRevision', target) },
    `${target} gets all the traffic as soon as its pods can carry it; checks and gates that are left are ` +
      `skipped${held}`,
  );
};

/**
 * A request that had its effect asks for nothing (operator/rollout/intents.ts), and writing it again would change
 * nothing.
 */
function askedBefore(model: OnnxModel, target: string, wasRefused: boolean): Move | undefined {
  const isThere = model.spec.rollout?.promoteRevision === target;
  const isSpent = model.status?.rollout?.handledPromoteRevision === target;
  if (isSpent) return isThere ? { do: 'TakeOut', set: { promoteRevision: null } } : refuse(notObserved(model));
  return isThere && !wasRefused ? nothing(`${target} is to be promoted already`) : undefined;
}

/** The candidate is given up; stable serves. */
export const abort: Intent = (model, { revision }) => {
  const standing = standingOf(model);
  const { rollout = {} } = model.spec;
  const target = targetOf(standing, revision);
  if (typeof target !== 'string') return target;
  if (standing.stage === 'GivenUp') return nothing(givenUpWords(target, standing.message));
  if (standing.stage === 'Leaving' || rollout.abortRevision === target)
    return nothing(`${target} is being taken back already`);
  const set = {
    abortRevision: target,
    ...without(rollout, 'promoteRevision', target),
    ...(rollout.resumeStep?.startsWith(`${target}/`) === true ? { resumeStep: null } : {}),
  };
  const serving = standing.stable === undefined ? 'nothing else serves' : `${standing.stable} serves`;
  return patch(model, set, `${target} is given up, ${serving}; "retry" tries it again`);
};

/** The status's own message says what was given up, why, and that "retry" tries it again: it is not said twice. */
function givenUpWords(target: string, message: string): string {
  return message.includes(`${target} was given up`)
    ? message
    : `${target} was given up ("retry" tries it again): ${message}`;
}

/** A revision that was given up gets another try. */
export const tryAgain: Intent = (model, { revision, token }) => {
  const { rollout = {} } = model.spec;
  const { stage, candidate } = standingOf(model);
  if (candidate === undefined || stage === 'AtRest' || stage === 'TakingOver')
    return refuse(`no revision was given up: there is nothing to try again`);
  if (revision !== undefined && revision !== candidate)
    return refuse(`the revision that was given up is ${candidate}, not ${revision}`);
  if (stage === 'UnderWay') return refuse(`${candidate} is on its way: there is nothing to try again`);
  if (stage === 'Leaving') return refuse(`the traffic of ${candidate} is still going back: try again in a moment`);
  const { pinRevision } = rollout;
  if (pinRevision !== undefined)
    return refuse(
      `spec.rollout.pinRevision names ${pinRevision}: "unpin" first, then "retry" judges ${candidate} by its ` +
        'checks and gates',
    );
  // A promotion that was asked for before would now skip the gates that it failed.
  const set = {
    retryToken: token,
    ...without(rollout, 'abortRevision', candidate),
    ...without(rollout, 'promoteRevision', candidate),
  };
  return patch(model, set, `${candidate} is tried again`);
};

export const pause: Intent = (model) => {
  const { stage, candidate } = standingOf(model);
  if (model.spec.rollout?.paused === true) return nothing('it is paused already');
  const what =
    stage === 'UnderWay'
      ? `the rollout of ${candidate} is held where it is`
      : 'no rollout is under way: the next one will be held';
  return patch(model, { paused: true }, `${what} until "resume"; a gate that fails still takes its traffic back`);
};

/** What it means to go on from each pause. */
const goingOn: Readonly<Record<string, string>> = {
  Step: '',
  Undecided: ', although its gates have not decided',
  ReportsStale: ', although its pods have not reported',
  StableUnhealthy: ', although stable is not well',
  WeightConflict: ': its weight is set anew',
};

/** Ends a pause by hand, else that of a step or of an undecided gate. */
export const resume: Intent = (model, { revision }) => {
  const standing = standingOf(model);
  const { candidate } = standing;
  if (revision !== undefined && revision !== candidate)
    return refuse(
      candidate === undefined ? 'no rollout is under way' : `the candidate is ${candidate}, not ${revision}`,
    );
  if (model.spec.rollout?.paused === true)
    return patch(
      model,
      { paused: null },
      candidate === undefined ? 'rollouts are not held any more' : `the rollout of ${candidate} goes on`,
    );
  return resumeStep(model, standing);
};

function resumeStep(model: OnnxModel, standing: RolloutStanding): Move {
  const { candidate, pausedReason, step, stage, observed } = standing;
  if (!observed) return refuse(notObserved(model));
  if (pausedReason === undefined || stage !== 'UnderWay') return refuse('it is not paused');
  if (step === undefined) return refuse(`it waits (${pausedReason}): ${standing.message}`);
  return patch(
    model,
    { resumeStep: `${candidate}/${step}` },
    `the rollout of ${candidate} goes on from step ${step + 1}${ownValue(goingOn, pausedReason) ?? ''}`,
  );
}

/** @param asked.revision one that is remembered; the caller has looked */
export const pin: Intent = (model, { revision = '' }) => {
  if (model.spec.rollout?.pinRevision === revision) return nothing(`${revision} is pinned already`);
  const { provenance, refused } = lastKnownOf(model.status);
  const { candidate, stage, stable } = standingOf(model);
  if (refused.includes(revision)) return refuse(givenUp(revision, stage === 'GivenUp' && candidate === revision));
  if (stable === revision && stage === 'AtRest')
    return patch(
      model,
      { pinRevision: revision },
      `${revision} goes on serving, whatever the rest of the spec says, until "unpin"`,
    );
  const unproven = proves(provenance[revision]) ? '' : ', and it is not proven';
  return patch(
    model,
    { pinRevision: revision },
    `${revision} takes over once its pods are ready, whatever the rest of the spec says, until "unpin"; no check ` +
      `or gate is asked${unproven}`,
  );
};

/** A pin is for what has served: a revision that was given up would go to all the traffic without being judged. */
function givenUp(revision: string, isCandidate: boolean): string {
  const otherwise = isCandidate
    ? `"retry" judges it again, "promote --revision ${revision}" serves it nevertheless`
    : `"undo --to ${revision}" puts its spec back and judges it again`;
  return `${revision} was given up, and a pin does not serve such a revision: ${otherwise}`;
}

export const unpin: Intent = (model) => {
  const pinned = model.spec.rollout?.pinRevision;
  return pinned === undefined
    ? nothing('no revision is pinned')
    : patch(model, { pinRevision: null }, `${pinned} is not pinned any more: the spec says again what serves`);
};

/** The candidate, when it is the one that is meant; else why not. */
function targetOf(standing: RolloutStanding, asked: string | undefined): string | Move {
  const { candidate, stage, stable, retiring } = standing;
  if (!standing.observed && asked !== undefined) return asked;
  if (candidate !== undefined && stage !== 'AtRest')
    return asked === undefined || asked === candidate
      ? candidate
      : refuse(`the candidate is ${candidate}, not ${asked}`);
  if (stage === 'TakingOver')
    return refuse(
      `${stable} has been promoted already${retiring === undefined ? '' : `: "undo --to ${retiring}" goes back`}`,
    );
  return refuse(`no rollout is under way${stable === undefined ? '' : `: ${stable} serves`}`);
}

function notObserved({ metadata, status }: OnnxModel): string {
  return (
    `the operator has not observed generation ${metadata.generation} yet (observed: ` +
    `${status?.observedGeneration ?? 'none'}): check that it is running`
  );
}

function without(rollout: IntentFields, field: 'abortRevision' | 'promoteRevision', revision: string): IntentFields {
  return rollout[field] === revision ? { [field]: null } : {};
}

/**
 * Takes along what this command once wrote about other revisions: should one of them come back, it would still hold.
 */
function patch(model: OnnxModel, set: IntentFields, say: string): Move {
  const { rollout = {} } = model.spec;
  const candidate = standingOf(model).candidate;
  const stale = ownRolloutFields(model.metadata).filter((field) => {
    if (field === 'abortRevision' || field === 'promoteRevision') return rollout[field] !== candidate;
    return field === 'resumeStep' && rollout.resumeStep?.split('/')[0] !== candidate;
  });
  return { do: 'Patch', set: { ...Object.fromEntries(stale.map((field) => [field, null])), ...set }, say };
}
