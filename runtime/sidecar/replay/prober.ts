/**
 * Sends golden inputs to both revisions, one after the other, and pairs their service times. The two revisions are the
 * candidate, to which this pod belongs, and stable, which serves. A probe is one such comparison; the service time is
 * the time of a request inside the runtime, without the queue.
 *
 * Limits: one probe at a time, at most `perMinute / pods` probes a minute, and only while no user request waits
 *         (besideHeader). Probes take at most the share `loadLimit` of the time of each of the two pods. Probes are not
 *         counted as traffic.
 * Ends:   `run` returns after `stop`, once a probe in progress has ended.
 */
import { reportedTiers } from '../../../api/tiers.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Answered, Question } from '../../protocol/ask-runtime.ts';
import type { PairNews, PairSkip } from '../../sampling/pair-counts.ts';

export type ProbeWork = {
  readonly peers: readonly string[];
  /** Probes per minute of all candidate pods together. */
  readonly perMinute: number;
  /** Number of candidate pods that share the rate. */
  readonly pods: number;
};

/** `later`: the inputs are not available yet. */
export type ProbeInputs =
  { readonly kind: 'inputs'; readonly questions: readonly Question[] } | { readonly kind: 'later' };

export type ProberDeps = {
  readonly clock: Clock;
  /** Random number in [0, 1). */
  readonly random: () => number;
  /** Where this pod's runtime listens. */
  readonly self: string;
  /** The current work; undefined when the operator did not request probes, or when this pod is not ready. */
  readonly work: () => ProbeWork | undefined;
  /** The inputs for both revisions. Never rejects. */
  readonly inputs: (peers: readonly string[]) => Promise<ProbeInputs>;
  /** Sends one request that must not delay users. Never rejects. */
  readonly ask: (address: string, question: Question) => Promise<Answered>;
  readonly pairs: PairNews & { readonly loaded: (share: number) => void };
};

/** The share of a pod's time that probes may take. */
export const loadLimit = 0.05;
/**
 * After `blindAfter` probes in a row that gave no service time, the next probe is sent only after `blindMs`: probes
 * without a service time are load without a result. An earlier version of the runtime, which has no tokens, even counts
 * the probes as user requests.
 */
const blindAfter = 5;
const blindMs = 600_000;
const idleMs = 1_000;
/**
 * How long the second request of a probe may wait for an idle runtime; both requests should run at about the same time.
 */
const patienceMs = 2_000;
const busyPauseMs = 100;

type Asked = { readonly answered: Answered; /** Time that the pod spent, in milliseconds. */ readonly tookMs: number };

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

  /**
   * Sends the question to both pods in random order: the first request may warm caches for the second, and this should
   * not favour one revision.
   * @returns the time that each pod spent
   */
  async #probe(question: Question, peer: string, stop: AbortSignal): Promise<Took> {
    const { self, random } = this.#deps;
    const selfFirst = random() < 0.5;
    const [one, other] = selfFirst ? [self, peer] : [peer, self];
    const first = await this.#ask(one, question, 0, stop);
    const second = first.answered.kind === 'answer' ? await this.#ask(other, question, patienceMs, stop) : undefined;
    const [mine, stable] = selfFirst ? [first, second] : [second, first];
    this.#settle(question, mine?.answered, stable?.answered);
    return { self: mine?.tookMs ?? 0, peer: stable?.tookMs ?? 0 };
  }

  #settle(question: Question, mine: Answered | undefined, stable: Answered | undefined): void {
    const { pairs } = this.#deps;
    if (mine?.kind !== 'answer' || stable?.kind !== 'answer') {
      const why = whyNot([mine, stable]);
      if (why === 'Refused') this.#questions = this.#questions?.filter((each) => each !== question);
      return pairs.skipped(why);
    }
    if (mine.serviceMs === undefined || stable.serviceMs === undefined) {
      this.#blind += 1;
      return pairs.skipped(stable.serviceMs === undefined ? 'StableNotAlone' : 'NotAlone');
    }
    this.#blind = 0;
    pairs.paired({
      tier: reportedTiers.interactive,
      sizeClass: 0,
      source: 'Probe',
      ratio: mine.serviceMs / stable.serviceMs,
    });
  }

  /**
   * `tookMs` of the result is the service time of the answer. If the answer has none, it is the time from the last
   * attempt's request to its answer.
   */
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

/**
 * The load of this pod or of a stable pod, whichever is greater. Example: when 6 candidate pods probe 2 stable pods,
 * each stable pod has the load of 3 candidate pods.
 */
function loadOf(took: Took, { peers, pods }: ProbeWork): number {
  return Math.max(took.self, took.peer * Math.max(1, pods / peers.length));
}

function restMs(took: Took, work: ProbeWork): number {
  return loadOf(took, work) / loadLimit;
}

function whyNot(both: readonly (Answered | undefined)[]): PairSkip {
  return both.some((one) => one?.kind === 'refused') ? 'Refused' : 'Busy';
}
