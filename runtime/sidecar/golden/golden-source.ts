/**
 * Where the cases of a golden run come from: a file beside the config, a file that `prepare` fetched, or nowhere.
 *
 * Owns:   finding the file, and what is asked of a model for which nobody gave cases: texts of an Embedding model,
 *         tensors by the signature for any other. Of two revisions with different inputs nothing can be compared.
 * Throws: AppError GOLDEN_SET_INVALID, FILE_UNREADABLE.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, messageOf } from '../../../api/errors.ts';
import type { GoldenConfig } from '../../../api/runtime-config.ts';
import type { TaskName } from '../../../api/tasks.ts';
import type { Signature } from '../../engine/signature.ts';
import { bytesOfFile, type Bytes } from '../../golden/bytes.ts';
import type { GoldenCase } from '../../golden/case.ts';
import { comparable, sizes, tensorCases } from '../../golden/generate.ts';
import { openSet } from '../../golden/set.ts';
import { goldenPathIn } from '../../prepare/cache/golden-file.ts';
import { decodeMetadata } from '../../protocol/oip/client.ts';
import { tasks } from '../../tasks/registry.ts';
import type { Answered } from '../../protocol/ask-runtime.ts';
import type { Ask, PassSet } from './golden-pass.ts';

export type SourceDeps = {
  readonly golden: GoldenConfig;
  /** The model's name in URLs. */
  readonly model: string;
  readonly task: TaskName;
  readonly configDir: string;
  readonly cacheDir: string;
  readonly ask: Ask;
  readonly self: string;
  readonly peers: readonly string[];
  readonly stop: AbortSignal;
};

export type FoundSet =
  | {
      readonly kind: 'set';
      readonly set: PassSet;
      /** Whom to ask for right answers. */ readonly peers: readonly string[];
      readonly note?: string;
    }
  | { readonly kind: 'later'; readonly why: string };

export async function findSet(deps: SourceDeps): Promise<FoundSet> {
  const {
    golden: { source },
    model,
    configDir,
    cacheDir,
    peers,
  } = deps;
  switch (source.kind) {
    case 'File':
      return {
        kind: 'set',
        set: { ...openSet(await fileAt(join(configDir, source.file)), model), generated: false },
        peers,
      };
    case 'Uri':
      return {
        kind: 'set',
        set: { ...openSet(await fileAt(await goldenPathIn(cacheDir, source.digest)), model), generated: false },
        peers,
      };
    case 'Generated':
      return generate(deps, { seed: source.seed, count: source.cases });
  }
}

type Made = { readonly seed: number; readonly count: number };

async function generate(deps: SourceDeps, made: Made): Promise<FoundSet> {
  const { asked } = tasks[deps.task];
  if (asked !== undefined)
    return found({ n: made.count, cases: () => asked.cases(deps.model, made), generated: true }, deps.peers);
  const own = await signatureAt(deps, deps.self);
  if (typeof own === 'string') return { kind: 'later', why: `this pod's runtime did not say what it takes: ${own}` };
  const [peer] = deps.peers;
  if (peer === undefined) return fitting(deps, { ...made, signature: own, peers: [] });
  const theirs = await signatureAt(deps, peer);
  if (typeof theirs === 'string') return { kind: 'later', why: `stable did not say what it takes: ${theirs}` };
  // What stable takes, a compatible revision takes, too.
  const difference = differenceOf(own, theirs);
  if (difference === undefined) return fitting(deps, { ...made, signature: theirs, peers: deps.peers });
  const alone = await fitting(deps, { ...made, signature: own, peers: [] });
  return alone.kind === 'set'
    ? { note: `its ${difference} are not stable's, so that no answers can be compared`, ...alone }
    : alone;
}

/** Only where schemaPolicy lets them differ it comes to this. */
function differenceOf(own: Signature, theirs: Signature): 'inputs' | 'outputs' | undefined {
  if (!sameInputs(own, theirs)) return 'inputs';
  const mine = comparable(own);
  return comparable(theirs).every((name) => mine.includes(name)) ? undefined : 'outputs';
}

function sameInputs(a: Signature, b: Signature): boolean {
  const words = ({ inputs }: Signature): string =>
    inputs
      .map(({ name, type }) => `${name}:${type}`)
      .sort()
      .join();
  return words(a) === words(b);
}

type Wanted = Made & { readonly signature: Signature; readonly peers: readonly string[] };

/** Cases of the first size that the model takes; none when it takes no size, or gives nothing that can be compared. */
async function fitting(deps: SourceDeps, { signature, peers, seed, count }: Wanted): Promise<FoundSet> {
  if (comparable(signature).length === 0) return nothing(peers, 'the model gives no numbers that could be compared');
  let refusal = 'its shapes are too large to be made up';
  for (const size of sizes) {
    const cases = (): Iterable<GoldenCase> => tensorCases(signature, deps.model, { seed, count, size });
    const [first] = cases();
    if (first === undefined) continue;
    const answered = await deps.ask(peers[0] ?? deps.self, first.question, deps.stop);
    if (answered.kind === 'unavailable') return { kind: 'later', why: answered.why };
    if (answered.kind === 'answer') return found({ n: count, cases, generated: true }, peers);
    refusal = answered.why;
  }
  return nothing(peers, `no inputs could be made up that the model takes: ${refusal}`);
}

function nothing(peers: readonly string[], note: string): FoundSet {
  return { ...found({ n: 0, cases: () => [], generated: true }, peers), note };
}

function found(set: PassSet, peers: readonly string[]): FoundSet & { readonly kind: 'set' } {
  return { kind: 'set', set, peers };
}

async function signatureAt({ ask, model, stop }: SourceDeps, address: string): Promise<Signature | string> {
  const answered: Answered = await ask(address, { method: 'GET', path: `/v2/models/${model}` }, stop);
  if (answered.kind !== 'answer') return answered.why;
  try {
    return decodeMetadata(answered.body);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return messageOf(error);
  }
}

async function fileAt(path: string): Promise<Bytes> {
  try {
    const { size } = await stat(path);
    return bytesOfFile(path, size);
  } catch (error) {
    throw new AppError('FILE_UNREADABLE', { path, why: messageOf(error) }, { cause: error });
  }
}
