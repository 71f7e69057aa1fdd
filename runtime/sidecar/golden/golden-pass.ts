/**
 * Runs a golden set once: sends each case to this pod's runtime. A case without an expected answer is also sent to a
 * pod of stable.
 *
 * Limits: one request at a time; a case is sent up to `tries` times while the runtime is unavailable.
 * Ends:   with `later` when the pass should be repeated; with `broken` when the set is invalid or does not fit the
 *         model. If the model fails on a case, the case counts with the metric's worst value.
 * Terms:  a golden set is a list of cases: inputs with or without the expected answer. Stable is the revision that
 *         serves; this pod belongs to the candidate, which may replace it. The metric says how answers are compared.
 */
import { goldenMetrics } from '../../../api/golden-metrics.ts';
import { AppError, messageOf } from '../../../api/errors.ts';
import type { GoldenConfig } from '../../../api/runtime-config.ts';
import type { Clock } from '../../../lib/clock.ts';
import { backoffMs, retry } from '../../../lib/retry.ts';
import type { NamedTensors } from '../../engine/tensor.ts';
import { caseLimits, type GoldenCase } from '../../golden/case.ts';
import { decodeEmbeddings } from '../../golden/embeddings.ts';
import { decodeAnswer } from '../../protocol/oip/client.ts';
import { compareOutputs, meets, Score, worse } from '../../quality/compare.ts';
import { notFiniteIn } from '../../quality/finite.ts';
import type { Answered, Question } from '../../protocol/ask-runtime.ts';

/** Never rejects. */
export type Ask = (address: string, question: Question, signal: AbortSignal) => Promise<Answered>;

export type PassDeps = {
  readonly golden: GoldenConfig;
  readonly ask: Ask;
  /** Where this pod's runtime listens. */
  readonly self: string;
  /** Addresses of stable's pods. */
  readonly peers: readonly string[];
  readonly clock: Clock;
  /** Random number in [0, 1). */
  readonly random: () => number;
  readonly stop: AbortSignal;
};

export type PassEnd =
  | { readonly kind: 'done' }
  /** The set is invalid, or does not fit the model. */
  | { readonly kind: 'broken'; readonly why: string }
  | { readonly kind: 'later'; readonly why: string };

/** The set of one pass; `cases` parses it while it iterates. */
export type PassSet = {
  readonly n: number;
  readonly cases: () => Iterable<GoldenCase>;
  /**
   * True if the cases were generated from the signature. The model must accept such cases, so a refusal is a failure of
   * the model.
   */
  readonly generated: boolean;
};

const tries = 4;
const pause = { baseMs: 1_000, maxMs: 8_000 };
/** Limits for decoding an answer. */
const answerTensors = { ...caseLimits.tensors, maxElements: 2 ** 23 };
const problemLimit = 500;

export class GoldenPass {
  readonly #deps: PassDeps;
  readonly #set: PassSet;
  readonly #score: Score;
  #done = 0;
  #passed = 0;
  #compared = 0;
  #problem: string | undefined;
  #peer: number;

  constructor(deps: PassDeps, set: PassSet) {
    this.#deps = deps;
    this.#set = set;
    this.#score = new Score(deps.golden.metric);
    this.#peer = Math.floor(deps.random() * deps.peers.length);
  }

  /** The counts and scores of the pass so far. */
  get numbers() {
    return {
      n: this.#set.n,
      done: this.#done,
      passed: this.#passed,
      compared: this.#compared,
      score: this.#score.value ?? null,
      worst: this.#score.worst ?? null,
      ...(this.#problem === undefined ? {} : { problem: this.#problem.slice(0, problemLimit) }),
    };
  }

  async run(): Promise<PassEnd> {
    const { stop } = this.#deps;
    try {
      for (const one of this.#set.cases()) {
        const end = await this.#case(one);
        if (end !== undefined) return end;
        if (stop.aborted) return { kind: 'later', why: 'the pod is ending' };
        this.#done += 1;
      }
      return { kind: 'done' };
    } catch (error) {
      // Only parsing the set throws this error.
      if (error instanceof AppError && error.code === 'GOLDEN_SET_INVALID')
        return { kind: 'broken', why: messageOf(error) };
      throw error;
    }
  }

  async #case(one: GoldenCase): Promise<PassEnd | undefined> {
    const mine = await this.#askSelf(one.question);
    if (mine.kind === 'unavailable')
      return { kind: 'later', why: `this pod's runtime did not answer ${one.where}: ${mine.why}` };
    if (mine.kind === 'refused') return this.#refused(one, mine);
    const got = read(one, mine);
    if (typeof got === 'string') return this.#fail(one, `the answer cannot be decoded: ${got}`);
    if (one.expected !== undefined) return this.#compare(one, one.expected, got);
    return this.#deps.peers.length === 0 ? this.#checkFinite(one, got) : this.#compareWithStable(one, got);
  }

  /**
   * Handles a case that the runtime refused. If the case was generated, or the answer is a server error, the model has
   * failed on the case. Otherwise the set does not fit the model.
   */
  #refused(one: GoldenCase, { status, why }: Extract<Answered, { kind: 'refused' }>): PassEnd | undefined {
    if (status >= 500 || this.#set.generated) return this.#fail(one, `the model failed: ${why}`);
    return { kind: 'broken', why: `golden set, ${one.where}: the model refuses the case: ${why}` };
  }

  async #compareWithStable(one: GoldenCase, got: NamedTensors): Promise<PassEnd | undefined> {
    const stable = await this.#askStable(one.question);
    if (stable.kind === 'unavailable')
      return { kind: 'later', why: `no pod of stable answered ${one.where}: ${stable.why}` };
    if (stable.kind === 'refused') {
      if (stable.status >= 500) return this.#stableFails(one, got, stable.why);
      return {
        kind: 'broken',
        why: `golden set, ${one.where}: the case has no expected answer, and stable refuses it: ${stable.why}`,
      };
    }
    const want = read(one, stable);
    if (typeof want === 'string')
      return { kind: 'later', why: `stable's answer to ${one.where} cannot be decoded: ${want}` };
    return this.#compare(one, want, got);
  }

  #compare(one: GoldenCase, want: NamedTensors, got: NamedTensors): PassEnd | undefined {
    const { golden } = this.#deps;
    const comparison = compareOutputs(golden.metric, want, got);
    if (comparison.kind === 'unfit')
      return {
        kind: 'broken',
        why: `golden set, ${one.where}: metric ${golden.metric} cannot be applied: ${comparison.problem}`,
      };
    this.#count(one, comparison);
    return undefined;
  }

  /**
   * When stable's model fails on a case, the case passes if the candidate's answer is finite. Waiting until stable
   * succeeds would block a candidate that fixes the failure.
   */
  #stableFails(one: GoldenCase, got: NamedTensors, why: string): undefined {
    this.#checkFinite(one, got);
    if (notFiniteIn(got) !== undefined) return;
    this.#compared += 1;
    this.#problem ??= `${one.where}: stable failed: ${why}`;
  }

  #checkFinite(one: GoldenCase, got: NamedTensors): undefined {
    const problem = notFiniteIn(got);
    if (problem === undefined) this.#passed += 1;
    else this.#fail(one, problem);
  }

  #fail(one: GoldenCase, note: string): undefined {
    this.#count(one, { value: goldenMetrics[this.#deps.golden.metric].worst, weight: 1, note });
  }

  #count(
    { where }: GoldenCase,
    { value, weight, note }: { readonly value: number; readonly weight: number; readonly note?: string },
  ): void {
    const { metric } = this.#deps.golden;
    const before = this.#score.worst;
    const isWorst = before === undefined || (value !== before && worse(metric, before, value) === value);
    this.#score.add({ value, weight });
    this.#compared += 1;
    const good = meets(value, this.#deps.golden);
    if (good) this.#passed += 1;
    else if (isWorst) this.#problem = note === undefined ? `${where} is the worst` : `${where}: ${note}`;
  }

  #askSelf(question: Question): Promise<Answered> {
    const { ask, self, stop } = this.#deps;
    return this.#patiently(() => ask(self, question, stop));
  }

  /** Each try uses the next pod of stable, so the restart of one pod does not delay the pass. */
  #askStable(question: Question): Promise<Answered> {
    const { ask, peers, stop } = this.#deps;
    return this.#patiently((nth) => {
      if (nth > 1) this.#peer += 1;
      const address = peers[this.#peer % peers.length];
      return address === undefined
        ? Promise.resolve({ kind: 'unavailable', why: 'no address is known' } as const)
        : ask(address, question, stop);
    });
  }

  #patiently(askOnce: (nth: number) => Promise<Answered>): Promise<Answered> {
    const { clock, random, stop } = this.#deps;
    return retry(askOnce, {
      clock,
      signal: stop,
      pauseAfter: ({ kind }, attempt) =>
        kind === 'unavailable' && attempt < tries ? backoffMs(pause, attempt, random()) : undefined,
    });
  }
}

/** @returns the problem as text when the answer cannot be decoded */
function read({ form }: GoldenCase, { body, jsonBytes }: Extract<Answered, { kind: 'answer' }>): NamedTensors | string {
  try {
    return form === 'embeddings'
      ? decodeEmbeddings(body, answerTensors.maxElements)
      : decodeAnswer(body, jsonBytes, answerTensors);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return messageOf(error);
  }
}
