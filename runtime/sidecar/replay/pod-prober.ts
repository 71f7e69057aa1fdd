/**
 * Connects the PairProber to the runtimes of this pod and of stable's pods, and selects the golden inputs.
 *
 * Owns:   the connections, to the port for sidecars, where requests are not counted and do not delay user requests.
 * Limits: keeps the first inputs of the set: at most `maxInputs` inputs with at most `maxBytes` together, but at least
 *         one input.
 * Terms:  a golden set is a list of inputs of the model. A probe sends one of them to this pod and to a pod of stable,
 *         the revision that serves.
 */
import { Agent } from '../../../lib/node-http.ts';
import { AppError } from '../../../api/errors.ts';
import { ports } from '../../../api/names.ts';
import { PairProber, type ProbeInputs, type ProberDeps, type ProbeWork } from './prober.ts';
import { askRuntime, type Question } from '../../protocol/ask-runtime.ts';
import type { Asked } from '../asked.ts';
import { findSet } from '../golden/golden-source.ts';
import type { Ask } from '../golden/golden-pass.ts';
import { podRuntimeConfig } from '../golden/pod-golden.ts';

export type PodProberDeps = Pick<ProberDeps, 'clock' | 'random' | 'self' | 'pairs'> & {
  readonly asked: () => Asked;
  readonly ready: () => boolean;
  /** The folder in which the revision's config is mounted. */
  readonly configDir: string;
  /** The folder in which `prepare` stores fetched files. */
  readonly cacheDir: string;
  /** The token of the revision whose pod has this address. */
  readonly tokenFor: (address: string) => string | undefined;
};

/** A probe of 30 s would be followed by a pause of ten minutes (loadLimit), so no answer is awaited for longer. */
const answerDeadlineMs = 30_000;
const maxInputs = 16;
const maxBytes = 4 * 2 ** 20;

export function podProber({ asked, ready, tokenFor, configDir, cacheDir, ...options }: PodProberDeps): {
  readonly prober: PairProber;
  readonly close: () => void;
} {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ended = new AbortController();
  const ask: Ask = (address, question, signal) =>
    askRuntime(
      { ...question, besideUsers: true },
      { address, port: ports.metrics, agent, deadlineMs: answerDeadlineMs, token: tokenFor(address), signal },
    );
  const prober = new PairProber({
    ...options,
    work: () => (ready() && tokenFor(options.self) !== undefined ? workIn(asked(), options.self) : undefined),
    inputs: (peers) => inputsOf({ configDir, cacheDir, self: options.self, peers, ask, stop: ended.signal }),
    ask: (address, question) => ask(address, question, ended.signal),
  });
  return {
    prober,
    close: () => {
      ended.abort();
      agent.destroy();
    },
  };
}

/**
 * Excludes this pod, which must not be compared with itself. Without the token of stable's pods, no probe is sent,
 * because these pods would count the probe as a user request.
 */
function workIn({ peers, probes, peersToken }: Asked, self: string): ProbeWork | undefined {
  const others = peers.filter((peer) => peer !== self);
  return probes === undefined || peersToken === undefined || others.length === 0
    ? undefined
    : { peers: others, ...probes };
}

type Where = {
  readonly configDir: string;
  readonly cacheDir: string;
  readonly self: string;
  readonly peers: readonly string[];
  readonly ask: Ask;
  readonly stop: AbortSignal;
};

/**
 * The inputs of the revision's golden set, or generated inputs. An invalid set gives no inputs; the golden run reports
 * the error.
 */
async function inputsOf(where: Where): Promise<ProbeInputs> {
  const config = podRuntimeConfig(where.configDir);
  if (config?.golden === undefined) return { kind: 'later' };
  try {
    const found = await findSet({ ...where, golden: config.golden, model: config.name, task: config.task });
    if (found.kind === 'later') return { kind: 'later' };
    // The prober removes inputs that a runtime refuses, for example because the signatures of the revisions differ.
    return { kind: 'inputs', questions: firstOf(found.set.cases()) };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { kind: 'inputs', questions: [] };
  }
}

function firstOf(cases: Iterable<{ readonly question: Question }>): readonly Question[] {
  const questions: Question[] = [];
  let sizeBytes = 0;
  for (const { question } of cases) {
    sizeBytes += question.body?.length ?? 0;
    if ((sizeBytes > maxBytes && questions.length > 0) || questions.length === maxInputs) break;
    questions.push(question);
  }
  return questions;
}
