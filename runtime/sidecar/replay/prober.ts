/**
 * Asks golden inputs of both revisions, one after the other, and pairs how long their runtimes took.
 *
 * Owns:   which input is next and in which order the two are asked (by chance, so that what the first leaves warm for
 *         the second favours neither), how long a probe may wait for room, and how much of a pod's time probes take.
 * Limits: one probe at a time, at most `perMinute / pods` a minute, and so far apart that what a probe takes of either
 *         pod is at most `loadLimit` of its time. Only while nobody's request is in either's way (besideHeader).
 * Rule:   a probe is nobody's request: both answer it uncounted, and what is learnt is marked as a probe everywhere.
 * Ends:   `run` returns when it is told to stop; a probe under way is waited for.
 */
import { reportedTiers } from '../../../api/tiers.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Answered, Question } from '../../protocol/ask-runtime.ts';
import type { PairNews, PairSkip } from '../../sampling/pair-counts.ts';

export type ProbeWork = {
  readonly peers: readonly string[];
  /** Of all pods of the candidate together. */
  readonly perMinute: number;
  /** Pods of the candidate that share it. */
  readonly pods: number;
};

/** An input, and how many bytes it is worth to keep. */
export type ProbeInputs =
  { readonly kind: 'inputs'; readonly questions: readonly Question[] } | { readonly kind: 'later' };

export type ProberDeps = {
  readonly clock: Clock;
  /** Chance in [0, 1). */
  readonly random: () => number;
  /** Where this pod's runtime listens. */
  readonly self: string;
  /** What is to be done now; undefined: nothing, or this pod is not ready. */
  readonly work: () => ProbeWork | undefined;
  /** What is asked of both. Never rejects. */
  readonly inputs: (peers: readonly string[]) => Promise<ProbeInputs>;
  /** One answer, beside users. Never rejects. */
  readonly ask: (address: string, question: Question) => Promise<Answered>;
  readonly pairs: PairNews & { readonly loaded: (share: number) => void };
};

/** Of one pod's time, at most. */
export const loadLimit = 0.05;
/**
 * Where a runtime does not say how long it takes, probes are only load, and to one of a version without tokens a user's
 * request: one every ten minutes, until it does.
 */
const blindAfter = 5;
const blindMs = 600_000;
const idleMs = 1_000;
/** How long the second of the two may wait for room: the two are to be of one moment. */
const patienceMs = 2_000;
const busyPauseMs = 100;

type Asked = { readonly answered: Answered; /** Of the pod's time, in milliseconds. */ readonly tookMs: number };

export class PairProber {
  readonly #deps: ProberDeps;
  #questions: readonly Question[] | undefined;
  #next = 0;
  #turn: number;
  #blind = 0;

  constructor(deps: ProberDeps) {
    this.#deps = deps;
    this.#turn = Math.floor(deps.random() * 16);
  }

  async run(stop: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (!stop.aborted) await clock.sleep(await this.#turnOnce(stop), stop);
  }

  /** @returns how long to wait before the next turn, in milliseconds */
  async #turnOnce(stop: AbortSignal): Promise<number> {
    const work = this.#deps.work();
    const peer = work?.peers[this.#turn % work.peers.length];
    if (work === undefined || peer === undefined) return idleMs;
    const question = await this.#question(work.peers);
    if (question === undefined) return Math.max(idleMs, paceMs(work));
    this.#turn += 1;
    const { clock } = this.#deps;
    const beganMs = clock.monotonic();
    const took = await this.#probe(question, peer, stop);
    const dueMs = Math.max(paceMs(work), restMs(took, work), this.#blind >= blindAfter ? blindMs : 0);
    const leftMs = Math.max(0, dueMs - (clock.monotonic() - beganMs));
    if (took.self + took.peer > 0) this.#deps.pairs.loaded(loadOf(took, work) / (clock.monotonic() - beganMs + leftMs));
    return leftMs;
  }

  async #question(peers: readonly string[]): Promise<Question | undefined> {
    if (this.#questions === undefined) {
      const found = await this.#deps.inputs(peers);
      if (found.kind === 'later') return undefined;
      this.#questions = found.questions;
    }
    const question = this.#questions[this.#next % this.#questions.length];
    this.#next += 1;
    if (question === undefined) this.#deps.pairs.skipped('NoInputs');
    return question;
  }

  /** @returns what it took of each pod */
  async #probe(question: Question, peer: string, stop: AbortSignal): Promise<Took> {
    const { self, random } = this.#deps;
    const selfFirst = random() < 0.5;
    const [one, other] = selfFirst ? [self, peer] : [peer, self];
    const first = await this.#ask(one, question, 0, stop);
    const second = first.answered.kind === 'answer' ? await this.#ask(other, question, patienceMs, stop) : undefined;
    const [mine, theirs] = selfFirst ? [first, second] : [second, first];
    this.#settle(question, mine?.answered, theirs?.answered);
    return { self: mine?.tookMs ?? 0, peer: theirs?.tookMs ?? 0 };
  }

  #settle(question: Question, mine: Answered | undefined, theirs: Answered | undefined): void {
    const { pairs } = this.#deps;
    if (mine?.kind !== 'answer' || theirs?.kind !== 'answer') {
      const why = whyNot([mine, theirs]);
      if (why === 'Refused') this.#questions = this.#questions?.filter((each) => each !== question);
      return pairs.skipped(why);
    }
    if (mine.serviceMs === undefined || theirs.serviceMs === undefined) {
      this.#blind += 1;
      return pairs.skipped(theirs.serviceMs === undefined ? 'StableNotAlone' : 'NotAlone');
    }
    this.#blind = 0;
    pairs.paired({
      tier: reportedTiers.interactive,
      sizeClass: 0,
      source: 'Probe',
      ratio: mine.serviceMs / theirs.serviceMs,
    });
  }

  /** A runtime that does not say what it took has taken all the time until the answer came. */
  async #ask(address: string, question: Question, waitMs: number, stop: AbortSignal): Promise<Asked> {
    const { clock, ask } = this.#deps;
    const untilMs = clock.monotonic() + waitMs;
    for (;;) {
      const beganMs = clock.monotonic();
      const answered = await ask(address, question);
      const nowMs = clock.monotonic();
      if (answered.kind === 'answer') return { answered, tookMs: answered.serviceMs ?? nowMs - beganMs };
      if (answered.kind === 'refused' || nowMs >= untilMs || stop.aborted)
        return { answered, tookMs: answered.kind === 'refused' ? nowMs - beganMs : 0 };
      await clock.sleep(busyPauseMs, stop);
    }
  }
}

type Took = { readonly self: number; readonly peer: number };

function paceMs({ perMinute, pods }: ProbeWork): number {
  return (60_000 * pods) / perMinute;
}

/** Several pods of the candidate that ask the same few of stable take that much more of these. */
function loadOf(took: Took, { peers, pods }: ProbeWork): number {
  return Math.max(took.self, took.peer * Math.max(1, pods / peers.length));
}

function restMs(took: Took, work: ProbeWork): number {
  return loadOf(took, work) / loadLimit;
}

function whyNot(both: readonly (Answered | undefined)[]): PairSkip {
  return both.some((one) => one?.kind === 'refused') ? 'Refused' : 'Busy';
}
