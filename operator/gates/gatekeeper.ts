/**
 * Runs the gates of every model in a rollout: takes in reports, and returns readings for decisions.
 *
 * Terms: A ledger has the counts of every pod, in blocks of 20 seconds. A window is the blocks by which a step of the
 * rollout is judged; a look is one evaluation of it. A reading is the result for the decision: may the step end, and
 * what failed.
 * Owns: one ledger per model from Preparing (if a stable revision exists) until the rollout ends, how often a window is
 * evaluated, and when the status gets new numbers: with a new verdict, otherwise every 30 s (5 min in a pause). After a
 * restart of the operator, the gatekeeper waits at most 15 s for a ready pod's first report; the counts from before the
 * restart are in a ConfigMap and in the sidecars.
 */
import { createHash } from 'node:crypto';
import { present } from '../../api/present.ts';
import { blockAt, blockSeconds, type Report } from '../../api/report.ts';
import type { Logger } from '../../lib/log.ts';
import { historyBlocks } from '../analysis/history.ts';
import { alphaWords, planOf, type GatePlan } from '../analysis/plan.ts';
import type { Nodes } from '../analysis/series.ts';
import type { GateResult } from '../analysis/verdict.ts';
import { isReady, type Pod } from '../../kube/kinds.ts';
import type { Observed, Seen } from '../see/seen.ts';
import type { Manifest } from '../resources/objects.ts';
import { stepsOf } from '../rollout/decisions.ts';
import { isJudged } from '../rollout/plan.ts';
import type { Block, Decision, GateReading, Millis, Revision, RolloutState, StateIn } from '../rollout/state.ts';
import { isLoadEqual, knownOf, type Scene } from './evidence.ts';
import { unpackLedger } from './kept-ledger.ts';
import { keptManifest, writtenIn } from './kept-map.ts';
import { NoiseMemory } from './noise-memory.ts';
import { ModelLedger } from './model-ledger.ts';
import { probesWanted, requestsPerMinute } from './probing.ts';
import { foreseeStep } from './foreseeing.ts';
import { shownWords } from '../analysis/shown-words.ts';
import { find, readingFrom, sentenceOf, shownResultsOf } from './reading.ts';
import type { Finding, ShownResult, WindowAsked } from './reading.ts';

/** What the status shows about the gates, and the time of the evaluation. */
export type Shown = {
  /** The prediction for the step, made when it began. */
  readonly promise?: string;
  /** The bounds on the candidate's increase over stable that the step has shown; present once the step is done. */
  readonly proven?: string;
  readonly window: Block;
  readonly atMs: Millis;
  readonly alpha: string;
  readonly results: readonly ShownResult[];
  readonly message: string;
};
export type Judged = { readonly reading: GateReading; readonly shown?: Shown };

/** The gatekeeper's interface for a pass of the reconciler. */
export interface Gates {
  /** @returns undefined when the model has no candidate to judge */
  judge(key: string, seen: Observed, now: Millis): Judged | undefined;
  /** The ConfigMap that stores the model's ledger, as a list of one; empty when there is no ledger to store. */
  children(key: string, seen: Seen, decision: Decision, now: Millis): readonly Manifest[];
  forget(key: string): void;
}

export type GatekeeperDeps = {
  /** When the pod last reported; before its first report, when it was first watched (ReportPuller.heardAtMs). */
  readonly heardAtMs: (uid: string) => Millis | undefined;
  /** Pulls the reports of a model's pods again, with all blocks that their sidecars store. */
  readonly hearAnew: (key: string) => void;
  readonly logger: Logger;
};

/** Maximum age of the numbers in the status when newer numbers exist. */
export const renewMs = 30_000;
/** The same maximum age in a pause, which may last for days. */
export const pausedRenewMs = 300_000;
/**
 * A revision is silent when none of its ready pods has reported for this long. It is twice the interval at which
 * reports are pulled while no rollout is in progress.
 */
export const silentMs = 60_000;
/** Maximum time to wait for the first report of a pod. */
const firstReportMs = 15_000;

type Followed = {
  readonly ledger: ModelLedger;
  readonly noise: NoiseMemory;
  window?: Block;
  promise?: { readonly of: string; readonly text?: string };
  look?: { readonly of: string; readonly version: number; readonly atMs: Millis; readonly finding: Finding };
  shown?: Shown & { readonly of: string; readonly step: Finding['step'] };
};
type Judging = StateIn<'Analyzing'> | StateIn<'Paused'>;

export class Gatekeeper implements Gates {
  readonly #deps: GatekeeperDeps;
  readonly #models = new Map<string, Followed>();

  constructor(deps: GatekeeperDeps) {
    this.#deps = deps;
  }

  /** Adds a report with blocks to the ledger. Ignores reports of models that are not in a rollout. */
  hear(key: string, podName: string, report: Report): void {
    this.#models.get(key)?.ledger.hear(podName, report);
  }

  forget(key: string): void {
    this.#models.delete(key);
  }

  judge(key: string, seen: Observed, now: Millis): Judged | undefined {
    const revisions = comparedIn(seen.memory);
    if (revisions === undefined) {
      this.#models.delete(key);
      return undefined;
    }
    const followed = this.#follow(key, revisions, seen);
    const state = seen.memory;
    if (!isJudging(state)) {
      followed.ledger.forgetBefore(blockAt(now) - historyBlocks - blocksOfAMinute);
      return undefined;
    }
    followed.window = state.window;
    followed.ledger.forgetBefore(state.window - historyBlocks);
    return this.#read(followed, state, seen, now);
  }

  children(key: string, seen: Seen, { next }: Decision, now: Millis): readonly Manifest[] {
    const followed = this.#models.get(key);
    if (followed === undefined || !hasTraffic(next)) return [];
    const { ledger, window } = followed;
    if (window !== undefined) ledger.keep({ window, present: namesOf([...seen.pods.values()].flat()), now });
    return ledger.written === undefined ? [] : [keptManifest(seen, ledger.written)];
  }

  /** The ledger of these two revisions. A new process restores the ledger from the ConfigMap. */
  #follow(key: string, revisions: readonly Revision[], seen: Observed): Followed {
    const known = this.#models.get(key);
    if (known !== undefined && sameRevisions(known.ledger.revisions, revisions)) return known;
    const written = hasTraffic(seen.memory) ? writtenIn(seen) : undefined;
    const kept = written === undefined ? undefined : unpackLedger(written.text);
    if (written !== undefined && kept === undefined)
      this.#deps.logger.warn('stored gate data unreadable', {
        model: seen.model.metadata.name,
        namespace: seen.model.metadata.namespace,
      });
    const followed = {
      noise: new NoiseMemory(),
      ledger: new ModelLedger(
        revisions,
        written === undefined || kept === undefined ? undefined : { ...kept, ...written },
      ),
    };
    this.#models.set(key, followed);
    this.#deps.hearAnew(key);
    return followed;
  }

  #read(followed: Followed, state: Judging, seen: Observed, now: Millis): Judged {
    const asked = askedIn(state, seen);
    const listened = state.weight >= 100 ? [state.candidate] : [state.stable, state.candidate];
    const silent = listened.filter((revision) => this.#isSilent(readyOf(seen, revision), now));
    const awaited = listened
      .flatMap((revision) => readyOf(seen, revision))
      .filter((pod) => this.#isAwaited(followed.ledger, pod, now));
    const of = identityOf(asked, state, seen);
    if (awaited.length > 0) return waitingFor(awaited, followed, state, silent);
    const scene = sceneOf(followed, state, seen);
    const promise = foreseen(followed, asked, scene, state);
    const finding = look(followed, { of, asked, scene, now });
    const shown = renewed(followed, {
      of,
      asked,
      finding,
      now,
      everyMs: state.phase === 'Paused' ? pausedRenewMs : renewMs,
      ...present({ promise }),
    });
    const probes = probesFor(followed.ledger, state, seen, now);
    return {
      reading: {
        ...readingFrom(asked, finding, { message: shown.message, silent, shown: shown.proven }),
        ...present({ probes, promise }),
      },
      shown,
    };
  }

  #isSilent(pods: readonly Pod[], now: Millis): boolean {
    return (
      pods.length > 0 && pods.every(({ metadata: { uid = '' } }) => now - (this.#deps.heardAtMs(uid) ?? now) > silentMs)
    );
  }

  #isAwaited(ledger: ModelLedger, { metadata: { uid = '', name } }: Pod, now: Millis): boolean {
    return !ledger.heard.has(name) && now - (this.#deps.heardAtMs(uid) ?? now) < firstReportMs;
  }
}

/**
 * Probes (test inputs sent to both revisions) per minute; undefined when probes are off. The decision uses the number
 * of requests of both revisions together, because this sum does not depend on the candidate's share of the traffic.
 */
function probesFor(
  { ledger }: ModelLedger,
  { stable, candidate, window, weight }: Judging,
  seen: Observed,
  now: Millis,
): number | undefined {
  return weight >= 100
    ? undefined
    : probesWanted(
        seen.model.spec.rollout?.probes,
        requestsPerMinute(ledger, [stable, candidate], { window, until: blockAt(now) }),
      );
}

function waitingFor(
  awaited: readonly Pod[],
  { shown }: Followed,
  { window }: Judging,
  silent: GateReading['silent'],
): Judged {
  const message =
    'waiting for the first report of ' +
    `${awaited.length === 1 ? (awaited[0]?.metadata.name ?? 'a pod') : `${awaited.length} pods`}`;
  return {
    reading: { window, step: 'Waiting', absolute: 'None', pending: true, message, silent },
    ...(shown?.window === window ? { shown } : {}),
  };
}

const blocksOfAMinute = 60 / blockSeconds;

/** Stable and candidate; undefined when one of them is missing. */
function comparedIn(state: RolloutState): readonly Revision[] | undefined {
  if (!('candidate' in state) || state.stable === null) return undefined;
  return [state.stable, state.candidate];
}

function sameRevisions(a: readonly Revision[], b: readonly Revision[]): boolean {
  return a[0] === b[0] && a[1] === b[1];
}

/**
 * Whether the state has a window to judge. Some pauses do not have a window, such as a pause that is the first step:
 * their `window` is 0.
 */
function isJudging(state: RolloutState): state is Judging {
  return (state.phase === 'Analyzing' || state.phase === 'Paused') && state.window > 0;
}

function hasTraffic({ phase }: RolloutState): boolean {
  return phase === 'Shifting' || phase === 'Analyzing' || phase === 'Paused';
}

function readyOf(seen: Observed, revision: Revision): readonly Pod[] {
  return (seen.pods.get(revision) ?? []).filter(isReady);
}

function namesOf(pods: readonly Pod[]): ReadonlySet<string> {
  return new Set(pods.map((pod) => pod.metadata.name));
}

function askedIn(state: Judging, seen: Observed): WindowAsked {
  const steps = stepsOf(state.candidate, { seen: seen.rollout, plan: seen.plan });
  const step = steps[state.step];
  return {
    window: state.window,
    plan: planIn(seen),
    require: isJudged(step) ? step.require : 'NoFail',
    ...(step?.kind === 'shadow' ? { shadow: true as const } : {}),
  };
}

/**
 * The plan of the gates. It depends on the steps of the rollout, because `spec.rollout.gates.alpha` is divided among
 * the steps that judge the candidate.
 */
function planIn(seen: Observed): GatePlan {
  const steps = seen.plan.steps.map((step) => (isJudged(step) ? { analyze: { require: step.require } } : {}));
  return planOf(seen.model.spec.rollout?.gates, steps);
}

function sceneOf({ ledger, noise }: Followed, state: Judging, seen: Observed): Scene {
  const { stable, candidate, window, weight } = state;
  const ready = { candidate: readyOf(seen, candidate).length, stable: readyOf(seen, stable).length };
  return {
    nodes: nodesOf(readyOf(seen, candidate), readyOf(seen, stable)),
    ...maxBlocksOf(state, seen),
    stable,
    candidate,
    window,
    weight,
    router: seen.plan.router,
    ready,
    ledger: ledger.ledger,
    from: ledger.from,
    noise,
  };
}

/** The maximum duration of the step, in blocks. */
function maxBlocksOf({ candidate, step: at }: Judging, seen: Observed): Pick<Scene, 'maxBlocks'> {
  const step = stepsOf(candidate, { seen: seen.rollout, plan: seen.plan })[at];
  return isJudged(step) ? { maxBlocks: step.maxDurationMs / 1000 / blockSeconds } : {};
}

/**
 * `Shared` when the pods of both revisions run on the same set of nodes, so that a difference between nodes cannot look
 * like a difference between revisions.
 */
function nodesOf(...revisions: readonly (readonly Pod[])[]): Nodes {
  const [own = new Set(), other = new Set()] = revisions.map((pods) => new Set(pods.map(({ spec }) => spec?.nodeName)));
  return own.size > 0 && !own.has(undefined) && own.symmetricDifference(other).size === 0 ? 'Shared' : 'Unlike';
}

/** A hash of everything that a look depends on, except the ledger. */
function identityOf(asked: WindowAsked, state: Judging, seen: Observed): string {
  const ready = { candidate: readyOf(seen, state.candidate).length, stable: readyOf(seen, state.stable).length };
  const equal = isLoadEqual({ router: seen.plan.router, weight: state.weight, ready });
  const nodes = nodesOf(readyOf(seen, state.candidate), readyOf(seen, state.stable));
  return createHash('sha1')
    .update(JSON.stringify([asked, state.weight, equal, nodes, maxBlocksOf(state, seen)]))
    .digest('hex');
}

type Looking = { readonly of: string; readonly asked: WindowAsked; readonly scene: Scene; readonly now: Millis };

/**
 * Evaluates the window again after the ledger changed. The time between two evaluations is at least 0.1 ms times the
 * number of blocks in the ledger (1 s for 10,000 blocks), because an evaluation costs microseconds for each block.
 * After any other change (identityOf), the window is evaluated at once.
 */
function look(followed: Followed, { of, asked, scene, now }: Looking): Finding {
  const { ledger, look: last } = followed;
  const isSame =
    last?.of === of && (last.version === ledger.version || Math.abs(now - last.atMs) < cellsOf(ledger) / 10);
  if (isSame) return last.finding;
  const finding = find(asked, knownOf(scene));
  followed.look = { of, version: ledger.version, atMs: now, finding };
  return finding;
}

function cellsOf({ ledger }: ModelLedger): number {
  return Object.values(ledger).reduce((sum, boot) => sum + Object.keys(boot.blocks).length, 0);
}

/** Predicts once for each step. Later reports do not change the prediction. */
function foreseen(followed: Followed, asked: WindowAsked, scene: Scene, { phase }: Judging): string | undefined {
  // Do not predict for a pause: an event, a timer or a verdict may end it.
  if (phase === 'Paused') return undefined;
  const of = JSON.stringify([asked, scene.maxBlocks, scene.weight]);
  if (followed.promise?.of !== of) followed.promise = { of, ...present({ text: foreseeStep(asked, scene) }) };
  return followed.promise.text;
}

type Renewing = {
  readonly of: string;
  readonly asked: WindowAsked;
  readonly finding: Finding;
  readonly now: Millis;
  readonly everyMs: Millis;
  readonly promise?: string;
};

function renewed(followed: Followed, { of, asked, finding, now, everyMs, promise }: Renewing): Shown {
  const { shown } = followed;
  if (
    shown?.of === of &&
    Math.abs(now - shown.atMs) < everyMs &&
    shown.step === finding.step &&
    saysTheSame(shown.results, finding)
  )
    return shown;
  const results = shownResultsOf(finding);
  const made = {
    of,
    step: finding.step,
    window: asked.window,
    atMs: now,
    alpha: alphaWords(finding.plan),
    results,
    message: sentenceOf(asked, finding, results),
    ...present({ promise, proven: finding.step === 'Done' ? shownWords(finding.plan, results) : undefined }),
  };
  followed.shown = made;
  return made;
}

function saysTheSame(results: readonly GateResult[], { decided }: Finding): boolean {
  return (
    results.length === decided.length &&
    results.every((result, i) => result.verdict === decided[i]?.verdict && result.reason === decided[i]?.reason)
  );
}
