/**
 * Provides the cases of a golden run: from a file in the config's folder, from a file that `prepare` fetched, or
 * generated.
 *
 * Owns:   finding the file, and generating cases: texts for a model with the task Embedding, otherwise tensors that
 *         match the signature. Answers of revisions with different inputs or outputs are not compared.
 * Throws: AppError GOLDEN_SET_INVALID, FILE_UNREADABLE.
 * Terms:  a case is an input with or without the expected answer. Stable is the revision that serves. A signature has
 *         the names, types and shapes of a model's inputs and outputs.
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
      /** Pods of stable whose answers are the reference. When empty, only expected answers of the set are compared. */
      readonly peers: readonly string[];
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
  if (typeof own === 'string') return { kind: 'later', why: `cannot read the signature of this pod's model: ${own}` };
  const [peer] = deps.peers;
  if (peer === undefined) return fitting(deps, { ...made, signature: own, peers: [] });
  const stable = await signatureAt(deps, peer);
  if (typeof stable === 'string')
    return { kind: 'later', why: `cannot read the signature of stable's model: ${stable}` };
  // Generate inputs for stable's signature: a compatible revision accepts every input that stable accepts.
  const difference = differenceOf(own, stable);
  if (difference === undefined) return fitting(deps, { ...made, signature: stable, peers: deps.peers });
  const alone = await fitting(deps, { ...made, signature: own, peers: [] });
  return alone.kind === 'set'
    ? { note: `the model's ${difference} differ from stable's; answers are not compared`, ...alone }
    : alone;
}

/**
 * The part of the signatures that prevents a comparison of the answers. Signatures can differ here only if
 * schemaPolicy allows it; otherwise the operator refuses the rollout.
 */
function differenceOf(own: Signature, stable: Signature): 'inputs' | 'outputs' | undefined {
  if (!sameInputs(own, stable)) return 'inputs';
  const mine = comparable(own);
  return comparable(stable).every((name) => mine.includes(name)) ? undefined : 'outputs';
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

/**
 * Cases of the first size that the model accepts: stable's model if a pod of stable is known, otherwise this pod's
 * model. There are no cases if no size is accepted, or if the model has no comparable outputs.
 */
async function fitting(deps: SourceDeps, { signature, peers, seed, count }: Wanted): Promise<FoundSet> {
  if (comparable(signature).length === 0)
    return nothing(peers, 'no cases were generated: the model has no numeric output to compare');
  let refusal = 'its input shapes are too large';
  for (const size of sizes) {
    const cases = (): Iterable<GoldenCase> => tensorCases(signature, deps.model, { seed, count, size });
    const [first] = cases();
    if (first === undefined) continue;
    const answered = await deps.ask(peers[0] ?? deps.self, first.question, deps.stop);
    if (answered.kind === 'unavailable') return { kind: 'later', why: answered.why };
    if (answered.kind === 'answer') return found({ n: count, cases, generated: true }, peers);
    refusal = answered.why;
  }
  return nothing(peers, `no cases were generated: the model accepts none of the generated inputs: ${refusal}`);
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
