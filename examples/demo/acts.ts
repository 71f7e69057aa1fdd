/**
 * The acts of the demo. Each act runs against a running control plane.
 * Owns: the requests to the models and the expected results. An act prints only what it has observed. When an
 * expectation fails, it throws a `DemoFailure` with the facts.
 */
import { fileURLToPath } from 'node:url';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import type { Clock } from '../../lib/clock.ts';
import { embed } from '../client/embeddings.ts';
import { readGuides, type GuideSet } from '../models/guides.ts';
import { rankGuides } from '../search/rank.ts';
import type { Cluster } from './cluster.ts';
import { isSettled, sentencesOf, whyStalled } from './progress.ts';
import { Traffic } from './traffic.ts';

/** The error when an expectation of the demo failed. */
export class DemoFailure extends Error {
  override readonly name = 'DemoFailure';
}

export type Stage = {
  readonly cluster: Cluster;
  /** The folder with the models that `npm run models` wrote. */
  readonly models: string;
  readonly clock: Clock;
  readonly stop: AbortSignal;
  readonly say: (line: string) => void;
};

const examples = fileURLToPath(new URL('..', import.meta.url));
const readyWithinMs = 120_000;
const lookEveryMs = 100;
const questions = [
  'how do I make a dialog slide in',
  'let people choose dark colours',
  'tell a screen reader about a form error',
];
/** The number of texts in each request of the search check. */
const textsAtOnce = 16;
const checkedGuides = 48;
const roomOnLine = 80;
const word = 'dialog';
/**
 * Milliseconds that a client waits between two of its requests. The pause is needed because the server, the judge and
 * the clients share two cores.
 */
const pauseMs = 15;
/**
 * The largest allowed difference between the vectors of two revisions for the same text. It is small because the
 * revisions have the same weights.
 */
const sameWithin = 1e-4;

/** Applies a manifest, as a user would with kubectl. */
export async function applyFile({ cluster, say }: Stage, file: string): Promise<OnnxModel> {
  say(`$ kubectl apply --server-side -f examples/${file}`);
  return cluster.apply(`${examples}/${file}`);
}

/**
 * Applies a manifest and prints the status until its revision serves all traffic.
 *
 * @returns the served model
 */
export async function serve(stage: Stage, file: string): Promise<OnnxModel> {
  const { metadata } = await applyFile(stage, file);
  const told = new Set<string>();
  const endMs = stage.clock.monotonic() + readyWithinMs;
  for (;;) {
    stage.stop.throwIfAborted();
    const model = await stage.cluster.read(metadata.name);
    tellNews(stage, model, told);
    if (isSettled(model)) return model;
    const why =
      whyStalled(model) ??
      (stage.clock.monotonic() > endMs
        ? `the model is not served after ${readyWithinMs / 1000} s: ${model.status?.message ?? 'it has no status'}`
        : undefined);
    if (why !== undefined) throw new DemoFailure(`${metadata.name}: ${why}`);
    await stage.clock.sleep(lookEveryMs, stage.stop);
  }
}

/**
 * Prints sentences of the status that were not printed before. Sentences about an older generation of the spec are
 * never printed.
 */
function tellNews({ say }: Stage, model: OnnxModel, told: Set<string>): void {
  const isCurrent = model.status?.observedGeneration === model.metadata.generation;
  for (const sentence of sentencesOf(model)) {
    if (isCurrent && !told.has(sentence)) say(`  ${sentence}`);
    told.add(sentence);
  }
}

/** Searches with a few questions, then searches for guides by their own descriptions. */
export async function search(stage: Stage, model: OnnxModel): Promise<void> {
  const url = addressOf(model);
  const set = await readGuides(`${stage.models}/guides`);
  const vectors = await embed(url, model.metadata.name, questions, stage.stop);
  for (const [index, question] of questions.entries()) {
    stage.say(`  "${question}"`);
    for (const { guide } of rankGuides(set, vectors[index] ?? new Float32Array(set.width), 2))
      stage.say(`     ${guide.id}: ${beginning(guide.description)}`);
  }
  const ranks = await ownRanks(url, set, stage, checkedGuides);
  const among = (count: number): number => ranks.filter((rank) => rank < count).length;
  stage.say(
    `  asked for ${ranks.length} of them by their descriptions: ${among(1)} come first, ${among(5)} among the ` +
      'first five',
  );
  if (among(5) < ranks.length * 0.95) throw new DemoFailure('the search does not find the expected guides');
}

/**
 * Searches for each of the first guides by the guide's own description. @returns the rank of each guide in its search;
 * rank 0 is the best result
 */
async function ownRanks(url: string, set: GuideSet, stage: Stage, count: number): Promise<readonly number[]> {
  const ranks: number[] = [];
  for (let from = 0; from < count; from += textsAtOnce) {
    const some = set.guides.slice(from, Math.min(count, from + textsAtOnce));
    const vectors = await embed(
      url,
      'minilm',
      some.map(({ description }) => description),
      stage.stop,
    );
    for (const [index, guide] of some.entries()) {
      const hits = rankGuides(set, vectors[index] ?? new Float32Array(set.width), set.guides.length);
      ranks.push(hits.findIndex((hit) => hit.guide.id === guide.id));
    }
  }
  return ranks;
}

/**
 * Sends the same text repeatedly. A request counts as failed when its vector differs from the first vector.
 *
 * The text is one word, like the text that a search box sends while a user types. With a short text, the fixed cost of
 * a request is a large part of the latency.
 */
export async function startTraffic({ clock, stop }: Stage, model: OnnxModel): Promise<Traffic> {
  const url = addressOf(model);
  const [wanted = new Float32Array()] = await embed(url, model.metadata.name, [word], stop);
  return new Traffic({
    lanes: 2,
    rest: () => clock.sleep(pauseMs),
    monotonic: () => clock.monotonic(),
    send: async (signal) => {
      const [vector = new Float32Array()] = await embed(url, model.metadata.name, [word], signal);
      if (!isSame(vector, wanted)) throw new Error('another vector than before the change');
    },
  });
}

/** Stops sending. @returns the number of requests that failed */
export async function endTraffic({ say }: Stage, traffic: Traffic): Promise<number> {
  const { answered, failed, slowestMs, failures } = await traffic.stop();
  say(
    `${answered + failed} requests were sent meanwhile: ${answered} answered with the same vector, ${failed} ` +
      `failed; the slowest took ${Math.round(slowestMs)} ms`,
  );
  for (const failure of failures) say(`  failed: ${failure}`);
  return failed;
}

function addressOf({ metadata, status }: OnnxModel): string {
  if (status?.address === undefined) throw new DemoFailure(`the status of ${metadata.name} has no address`);
  return status.address.url;
}

function isSame(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, at) => Math.abs(value - (b[at] ?? 0)) < sameWithin);
}

/** The beginning of a text: as many complete words as fit in one line of a terminal. */
function beginning(text: string): string {
  return text.length <= roomOnLine ? text : `${text.slice(0, roomOnLine).replace(/\s+\S*$/, '')} …`;
}
