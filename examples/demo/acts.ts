/**
 * The acts of the demo, each against a running control plane.
 *
 * Owns:  what is asked of the models and what must hold. An act prints only what it has just seen; it throws a
 *        `DemoFailure` with the facts where something did not hold.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import type { Clock } from '../../lib/clock.ts';
import { embed } from '../client/embeddings.ts';
import { readGuides, type GuideSet } from '../models/guides.ts';
import { readAlphabet } from '../ocr/ctc.ts';
import { lineTensor } from '../ocr/line-image.ts';
import { recogniseLine } from '../ocr/recognise.ts';
import { rankGuides } from '../search/rank.ts';
import type { Cluster } from './cluster.ts';
import { isSettled, sentencesOf, whyStalled } from './progress.ts';
import { Traffic } from './traffic.ts';

/** Something that the demo promises did not hold. */
export class DemoFailure extends Error {
  override readonly name = 'DemoFailure';
}

export type Stage = {
  readonly cluster: Cluster;
  /** The folder with what `npm run models` wrote. */
  readonly models: string;
  readonly clock: Clock;
  readonly stop: AbortSignal;
  readonly say: (line: string) => void;
};

const examples = fileURLToPath(new URL('..', import.meta.url));
const readyWithinMs = 120_000;
const lookEveryMs = 100;
const lineOnPicture = 'Every change earns its traffic.';
const questions = ['how do I make a dialog slide in', 'let people choose dark colours', 'tell a screen reader about a form error'];
/** Texts of one run of the search check: what one request carries. */
const textsAtOnce = 32;
const roomOnLine = 80;
/** How far two revisions' vectors of one text may differ: they run the same weights. */
const sameWithin = 1e-4;

/**
 * Applies a manifest and tells what its status says until it is served in full.
 *
 * @param before the model as it was served, where it was: what its status said then is no news
 * @returns the model as it is served now
 */
export async function apply(stage: Stage, file: string, before?: OnnxModel): Promise<OnnxModel> {
  const { metadata } = await stage.cluster.apply(`${examples}/${file}`);
  stage.say(`$ kubectl apply --server-side -f examples/${file}`);
  const told = new Set(before === undefined ? [] : sentencesOf(before));
  const endMs = stage.clock.monotonic() + readyWithinMs;
  for (;;) {
    stage.stop.throwIfAborted();
    const model = await stage.cluster.read(metadata.name);
    tellNews(stage, model, told);
    if (isSettled(model)) return model;
    const why = whyStalled(model) ?? (stage.clock.monotonic() > endMs ? `it is not served after ${readyWithinMs / 1000} s: ${model.status?.message ?? 'it has no status'}` : undefined);
    if (why !== undefined) throw new DemoFailure(`${metadata.name}: ${why}`);
    await stage.clock.sleep(lookEveryMs, stage.stop);
  }
}

/** What the status still says of an older spec is no news. */
function tellNews({ say }: Stage, model: OnnxModel, told: Set<string>): void {
  const isCurrent = model.status?.observedGeneration === model.metadata.generation;
  for (const sentence of sentencesOf(model)) {
    if (isCurrent && !told.has(sentence)) say(`  ${sentence}`);
    told.add(sentence);
  }
}

/** Answers a few questions, then asks for every guide by its own description. */
export async function search(stage: Stage, model: OnnxModel): Promise<void> {
  const url = addressOf(model);
  const set = await readGuides(`${stage.models}/guides`);
  const vectors = await embed(url, model.metadata.name, questions, stage.stop);
  for (const [index, question] of questions.entries()) {
    stage.say(`  "${question}"`);
    for (const { guide } of rankGuides(set, vectors[index] ?? new Float32Array(set.width), 2)) stage.say(`     ${guide.id}: ${beginning(guide.description)}`);
  }
  const ranks = await ownRanks(url, set, stage);
  const among = (count: number): number => ranks.filter((rank) => rank < count).length;
  stage.say(`  asked for each of the ${ranks.length} guides by its description: ${among(1)} come first, ${among(5)} among the first five`);
  if (among(5) < ranks.length * 0.95) throw new DemoFailure('the search does not find what it should');
}

/** For each guide, its place among all when one searches for its description; 0 is the first. */
async function ownRanks(url: string, set: GuideSet, stage: Stage): Promise<readonly number[]> {
  const ranks: number[] = [];
  for (let from = 0; from < set.guides.length; from += textsAtOnce) {
    const some = set.guides.slice(from, from + textsAtOnce);
    const vectors = await embed(url, 'minilm', some.map(({ description }) => description), stage.stop);
    for (const [index, guide] of some.entries()) {
      const hits = rankGuides(set, vectors[index] ?? new Float32Array(set.width), set.guides.length);
      ranks.push(hits.findIndex((hit) => hit.guide.id === guide.id));
    }
  }
  return ranks;
}

/** Changes the model while a client keeps sending. @returns how many requests failed */
export async function change(stage: Stage, before: OnnxModel, file: string): Promise<number> {
  stage.say('a client keeps sending while the spec changes:');
  const traffic = await startTraffic(stage, addressOf(before));
  try {
    sayTakeover(stage, before, await apply(stage, file, before));
  } finally {
    await traffic.stop();
  }
  const { answered, failed, slowestMs, failures } = traffic.tally;
  stage.say(`  ${answered + failed} requests were sent meanwhile: ${answered} answered with the same vector, ${failed} failed; the slowest took ${Math.round(slowestMs)} ms`);
  for (const failure of failures) stage.say(`  failed: ${failure}`);
  return failed;
}

/** Asks for the vector of one text over and over; another vector than at first counts as failed. */
async function startTraffic({ clock, stop }: Stage, url: string): Promise<Traffic> {
  const text = questions[0] ?? '';
  const [wanted = new Float32Array()] = await embed(url, 'minilm', [text], stop);
  return new Traffic({
    lanes: 2,
    monotonic: () => clock.monotonic(),
    send: async (signal) => {
      const [vector = new Float32Array()] = await embed(url, 'minilm', [text], signal);
      if (!isSame(vector, wanted)) throw new Error('another vector than before the change');
    },
  });
}

function sayTakeover(stage: Stage, before: OnnxModel, after: OnnxModel): void {
  const from = before.status?.stable?.revision;
  const to = after.status?.stable;
  if (to === undefined || to.revision === from) throw new DemoFailure(`the changed spec started no new revision: ${from ?? 'none'} still serves`);
  stage.say(`  revision ${to.revision} serves instead of ${from ?? 'none'}; its memory limit is ${to.memory?.limit ?? 'not set'}`);
}

/** Serves another kind of model and reads a picture with it. */
export async function readPicture(stage: Stage): Promise<void> {
  const model = await apply(stage, 'ocr.yaml');
  const line = lineTensor(await readFile(`${examples}/ocr/line.png`));
  const alphabet = readAlphabet(await readFile(`${stage.models}/ocr/keys.txt`, 'utf8'));
  const { text, confidence } = await recogniseLine(line, alphabet, { url: addressOf(model), model: model.metadata.name });
  stage.say(`  examples/ocr/line.png reads "${text}" (mean confidence of its characters ${confidence.toFixed(2)})`);
  if (text !== lineOnPicture) throw new DemoFailure(`the picture says "${lineOnPicture}"`);
}

function addressOf({ metadata, status }: OnnxModel): string {
  if (status?.address === undefined) throw new DemoFailure(`the status of ${metadata.name} names no address`);
  return status.address.url;
}

function isSame(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, at) => Math.abs(value - (b[at] ?? 0)) < sameWithin);
}

/** As many whole words as a line of a terminal has room for. */
function beginning(text: string): string {
  return text.length <= roomOnLine ? text : `${text.slice(0, roomOnLine).replace(/\s+\S*$/, '')} …`;
}
