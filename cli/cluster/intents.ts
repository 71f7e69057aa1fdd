/**
 * What each intent (a request for one action, such as promote or pause) writes into spec.rollout, and when it is
 * refused.
 *
 * An intent names its revision, so an intent that arrives late cannot affect another revision. An intent succeeds
 * without a write if the model is already in the requested state. An intent that cannot have the expected effect is
 * refused, and the message says what to do instead. Pure.
 */
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { lastKnownOf } from '../../operator/rollout/last-words.ts';
import { proves } from '../../operator/rollout/provenance.ts';
import { standingOf, type RolloutStanding } from './standing.ts';
import { ownRolloutFields } from './ownership.ts';
import { ownValue } from '../../api/record.ts';

/** Fields of spec.rollout; null removes a field. */
export type IntentFields = {
  readonly paused?: boolean | null;
  readonly abortRevision?: string | null;
  readonly promoteRevision?: string | null;
  readonly pinRevision?: string | null;
  readonly resumeStep?: string | null;
  readonly retryToken?: string | null;
};

export type Move =
  | { readonly kind: 'Patch'; readonly set: IntentFields; readonly say: string }
  /**
   * Remove these fields, then call the intent again. The operator ignores a value that it has already handled, so the
   * same value only has an effect after it was removed.
   */
  | { readonly kind: 'TakeOut'; readonly set: IntentFields }
  /** The model is already in the requested state. */
  | { readonly kind: 'Nothing'; readonly say: string }
  | { readonly kind: 'Refuse'; readonly why: string };

/** Decides what an intent does. @param asked values from the command line */
export type Intent = (
  model: OnnxModel,
  asked: { readonly revision?: string | undefined; readonly token: string },
) => Move;

const refuse = (why: string): Move => ({ kind: 'Refuse', why });
const nothing = (say: string): Move => ({ kind: 'Nothing', say });

/** Gives all the traffic to the candidate and skips the candidate's remaining gates. */
export const promote: Intent = (model, { revision }) => {
  const standing = standingOf(model);
  const { rollout = {} } = model.spec;
  const target = targetOf(standing, revision);
  if (typeof target !== 'string') return target;
  const wasRefused = standing.stage === 'GivenUp' || standing.stage === 'Leaving';
  // The candidate may have failed a moment ago without the user's knowledge, so the user must name it.
  if (wasRefused && revision === undefined)
    return refuse(`${givenUpWords(target, standing.message)}. To promote it anyway, add --revision ${target}`);
  const asked = askedBefore(model, target, wasRefused);
  if (asked !== undefined) return asked;
  const held = rollout.paused === true ? '; spec.rollout.paused holds it until "resume"' : '';
  return patch(
    model,
    { promoteRevision: target, ...without(rollout, 'abortRevision', target) },
    `${target} gets all the traffic as soon as its pods can carry it; the remaining checks and gates are ` +
      `skipped${held}`,
  );
};

/**
 * Handles a promotion that was already requested. The operator ignores a value that it has already handled, so such a
 * value is removed first, and is written again after the operator has observed the removal. Undefined when the
 * promotion can be written.
 */
function askedBefore(model: OnnxModel, target: string, wasRefused: boolean): Move | undefined {
  const isThere = model.spec.rollout?.promoteRevision === target;
  const isSpent = model.status?.rollout?.handledPromoteRevision === target;
  if (isSpent) return isThere ? { kind: 'TakeOut', set: { promoteRevision: null } } : refuse(notObserved(model));
  return isThere && !wasRefused ? nothing(`the promotion of ${target} is already requested`) : undefined;
}

/** Gives up the candidate, so that stable serves all traffic. */
export const abort: Intent = (model, { revision }) => {
  const standing = standingOf(model);
  const { rollout = {} } = model.spec;
  const target = targetOf(standing, revision);
  if (typeof target !== 'string') return target;
  if (standing.stage === 'GivenUp') return nothing(givenUpWords(target, standing.message));
  if (standing.stage === 'Leaving' || rollout.abortRevision === target)
    return nothing(`${target} is already being rolled back`);
  const set = {
    abortRevision: target,
    ...without(rollout, 'promoteRevision', target),
    ...(rollout.resumeStep?.startsWith(`${target}/`) === true ? { resumeStep: null } : {}),
  };
  const serving = standing.stable === undefined ? 'no other revision serves' : `${standing.stable} serves`;
  return patch(model, set, `giving up ${target}; ${serving}. "retry" starts a new attempt of ${target}`);
};

/** Says that the revision was given up, unless the message of the status already says this. */
function givenUpWords(target: string, message: string): string {
  return message.includes(`${target} was given up`)
    ? message
    : `${target} was given up ("retry" starts a new attempt): ${message}`;
}

/** Starts a new attempt of a revision that was given up. */
export const tryAgain: Intent = (model, { revision, token }) => {
  const { rollout = {} } = model.spec;
  const { stage, candidate } = standingOf(model);
  if (candidate === undefined || stage === 'AtRest' || stage === 'TakingOver')
    return refuse(`no revision was given up: there is nothing to retry`);
  if (revision !== undefined && revision !== candidate)
    return refuse(`the revision that was given up is ${candidate}, not ${revision}`);
  if (stage === 'UnderWay') return refuse(`the rollout of ${candidate} is in progress: there is nothing to retry`);
  if (stage === 'Leaving')
    return refuse(`the traffic of ${candidate} is still moving back to stable: try again in a moment`);
  const { pinRevision } = rollout;
  if (pinRevision !== undefined)
    return refuse(
      `spec.rollout.pinRevision names ${pinRevision}: "unpin" first, then "retry" judges ${candidate} by its ` +
        'checks and gates',
    );
  // Remove an earlier promoteRevision: it would skip the gates that the candidate failed.
  const set = {
    retryToken: token,
    ...without(rollout, 'abortRevision', candidate),
    ...without(rollout, 'promoteRevision', candidate),
  };
  return patch(model, set, `starting a new attempt of ${candidate}`);
};

export const pause: Intent = (model) => {
  const { stage, candidate } = standingOf(model);
  if (model.spec.rollout?.paused === true) return nothing('spec.rollout.paused is already true');
  const what =
    stage === 'UnderWay'
      ? `the rollout of ${candidate} is held at its current weight`
      : 'no rollout is in progress: the next one will be held';
  return patch(model, { paused: true }, `${what} until "resume"; a failing gate still rolls it back`);
};

/**
 * For each reason of a pause, the text that `resume` adds to the end of its message. The text says which problem
 * remains while the rollout continues.
 */
const goingOn: Readonly<Record<string, string>> = {
  Step: '',
  Undecided: ', although its gates have not decided',
  ReportsStale: ', although its pods have not reported',
  StableUnhealthy: ', although stable is unhealthy',
  WeightConflict: ': the operator writes its weight to the route again',
};

/** Ends a manual pause (spec.rollout.paused), if there is one. Otherwise it ends the current pause of the rollout. */
export const resume: Intent = (model, { revision }) => {
  const standing = standingOf(model);
  const { candidate } = standing;
  if (revision !== undefined && revision !== candidate)
    return refuse(
      candidate === undefined ? 'no rollout is in progress' : `the candidate is ${candidate}, not ${revision}`,
    );
  if (model.spec.rollout?.paused === true)
    return patch(
      model,
      { paused: null },
      candidate === undefined ? 'rollouts are no longer held' : `the rollout of ${candidate} continues`,
    );
  return resumeStep(model, standing);
};

function resumeStep(model: OnnxModel, standing: RolloutStanding): Move {
  const { candidate, pausedReason, step, stage, observed } = standing;
  if (!observed) return refuse(notObserved(model));
  if (pausedReason === undefined || stage !== 'UnderWay') return refuse('the rollout is not paused');
  if (step === undefined) return refuse(`"resume" cannot end a pause for ${pausedReason}: ${standing.message}`);
  return patch(
    model,
    { resumeStep: `${candidate}/${step}` },
    `the rollout of ${candidate} continues from step ${step + 1}${ownValue(goingOn, pausedReason) ?? ''}`,
  );
}

/** @param asked.revision a revision in the history; the caller has checked that it exists */
export const pin: Intent = (model, { revision = '' }) => {
  if (model.spec.rollout?.pinRevision === revision) return nothing(`${revision} is already pinned`);
  const { provenance, refused } = lastKnownOf(model.status);
  const { candidate, stage, stable } = standingOf(model);
  if (refused.includes(revision)) return refuse(givenUp(revision, stage === 'GivenUp' && candidate === revision));
  if (stable === revision && stage === 'AtRest')
    return patch(
      model,
      { pinRevision: revision },
      `${revision} keeps serving until "unpin", regardless of the rest of the spec`,
    );
  const unproven = proves(provenance[revision]) ? '' : `; ${revision} is not proven`;
  return patch(
    model,
    { pinRevision: revision },
    `${revision} takes over when its pods are ready and serves until "unpin", regardless of the rest of the spec; ` +
      `checks and gates are skipped${unproven}`,
  );
};

/** The refusal of a pin on a revision that was given up: a pin would skip every check and gate. */
function givenUp(revision: string, isCandidate: boolean): string {
  const otherwise = isCandidate
    ? `"retry" judges it again, "promote --revision ${revision}" serves it anyway`
    : `"undo --to ${revision}" puts its spec back and judges it again`;
  return `${revision} was given up and cannot be pinned: ${otherwise}`;
}

export const unpin: Intent = (model) => {
  const pinned = model.spec.rollout?.pinRevision;
  return pinned === undefined
    ? nothing('no revision is pinned')
    : patch(
        model,
        { pinRevision: null },
        `removed the pin on ${pinned}; the operator now serves the revision of the spec`,
      );
};

/**
 * The candidate, when the user named the candidate or no revision; otherwise a refusal. While the status is for an
 * older generation of the spec, a named revision is returned without a check.
 */
function targetOf(standing: RolloutStanding, asked: string | undefined): string | Move {
  const { candidate, stage, stable, retiring } = standing;
  if (!standing.observed && asked !== undefined) return asked;
  if (candidate !== undefined && stage !== 'AtRest')
    return asked === undefined || asked === candidate
      ? candidate
      : refuse(`the candidate is ${candidate}, not ${asked}`);
  if (stage === 'TakingOver')
    return refuse(
      `${stable} was already promoted${retiring === undefined ? '' : `: "undo --to ${retiring}" goes back`}`,
    );
  return refuse(`no rollout is in progress${stable === undefined ? '' : `: ${stable} serves`}`);
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
 * The patch of an intent. It also removes intents that this command wrote earlier for other revisions: these intents
 * would apply if such a revision became the candidate again.
 */
function patch(model: OnnxModel, set: IntentFields, say: string): Move {
  const { rollout = {} } = model.spec;
  const candidate = standingOf(model).candidate;
  const stale = ownRolloutFields(model.metadata).filter((field) => {
    if (field === 'abortRevision' || field === 'promoteRevision') return rollout[field] !== candidate;
    return field === 'resumeStep' && rollout.resumeStep?.split('/')[0] !== candidate;
  });
  return { kind: 'Patch', set: { ...Object.fromEntries(stale.map((field) => [field, null])), ...set }, say };
}
