/**
 * The task Embedding: returns one vector for each text, by OpenAI's protocol.
 *
 * Owns:   the processing of a request: read and tokenise, cut into pieces of similar length, run, pool, print. Each
 *         step has its own file; this file connects the steps.
 * Limits: one request has at most four pieces in the batcher, so that a long list does not block other requests.
 * Ends:   the first piece that fails ends the request and cancels the pieces whose run has not begun.
 * Terms:  a row is one text of a request, as token ids. A piece is a group of rows that run together. To pool is to
 *         make one vector of the vectors of a row's tokens.
 */
import type { Tier } from '../../../api/tiers.ts';
import { dirname, join } from 'node:path';
import { AppError } from '../../../api/errors.ts';
import type { EmbeddingConfig } from '../../../api/runtime-config.ts';
import { openAiError, printEmbedding, printEmbeddingsReply, embeddingsPath } from '../../protocol/openai/embeddings.ts';
import type { TaskCall, TaskReply } from '../../call/call.ts';
import type { Task, TaskDeps } from '../task.ts';
import { encoderInputs, pieceInputs, type EncoderInputs } from './inputs.ts';
import { readModelFacts, type ModelFacts } from './model-files.ts';
import { chooseOutput, type ChosenOutput } from './output.ts';
import { planPieces, type Piece } from './pieces.ts';
import type { TokenRequest } from './read-request.ts';
import { Slice } from './slice.ts';
import { RequestReader } from './tokenizer-thread.ts';
import { vectorsOf } from './vectors.ts';

/**
 * Maximum tokens of a piece, including padding. On a CPU, an encoder does not get faster with batches of more than a
 * few hundred tokens, and each token needs memory for intermediate results. Other devices need large batches to be
 * fast.
 */
const maxPieceTokens = { onCpu: 512, elsewhere: 8192 } as const;
const piecesAtOnce = 4;
/** Maximum milliseconds that printing or pooling may block the HTTP thread. */
const sliceMs = 4;

/** Properties of model and tokenizer, determined when the task is created. */
type Setup = {
  readonly deps: TaskDeps;
  readonly config: EmbeddingConfig;
  readonly reader: RequestReader;
  readonly inputs: EncoderInputs;
  readonly output: ChosenOutput;
  readonly maxTokens: number;
  readonly firstPosition: number;
};

/** Used when neither the spec nor a file of the model limits the tokens of a text. */
const usualMaxTokens = 512;

/** @throws AppError BAD_CONFIG or MODEL_INVALID when tokenizer, model and spec do not match */
export async function createEmbedding(deps: TaskDeps): Promise<Task> {
  const { config, signature, clock, logger, sourceFile, parseBytes } = deps;
  const embedding = config.embedding;
  if (embedding === undefined)
    throw new AppError('BAD_CONFIG', { where: 'embedding', problem: 'the task Embedding requires it' });
  const { tokenizer, onTooLong } = embedding;
  const facts = await readModelFacts(tokenizer, sourceFile);
  const inputs = encoderInputs(signature);
  const output = chooseOutput(signature.outputs, embedding, facts.pooling);
  const maxTokens = maxTokensOf(embedding, facts, inputs, deps);
  const rules = { model: config.name, maxTokens, onTooLong };
  const task = {
    path: sourceFile(tokenizer),
    configPath: sourceFile(join(dirname(tokenizer), 'tokenizer_config.json')),
    rules,
  };
  const reader = await RequestReader.start({ task, clock, logger, memoryBytes: parseBytes });
  const setup: Setup = {
    deps,
    config: embedding,
    reader,
    inputs,
    output,
    maxTokens,
    firstPosition: facts.firstPosition,
  };
  try {
    refuseMisfits(setup);
  } catch (error) {
    await reader.close();
    throw error;
  }
  return {
    routes: [{ method: 'POST', path: embeddingsPath, handle: (call) => answer(setup, call), errorBody: openAiError }],
    maxTokens,
    laterBytes: reader.laterBytes,
    example: {
      path: embeddingsPath,
      body: { model: config.name, input: ['A short text.', 'Another text, a bit longer.'] },
    },
    close: () => reader.close(),
  };
}

/**
 * The limit in the spec, else the limit in the model's files, else `usualMaxTokens`; at most the model's fixed number
 * of tokens, if it has one. A higher limit in the spec is an error.
 */
function maxTokensOf(
  { maxTokens: asked }: EmbeddingConfig,
  { maxTokens: said }: ModelFacts,
  { fixedLength = Infinity }: EncoderInputs,
  { logger }: TaskDeps,
): number {
  if (asked === undefined) return Math.min(said?.count ?? usualMaxTokens, fixedLength);
  if (asked > fixedLength)
    throw new AppError('BAD_CONFIG', {
      where: 'spec.model.embedding.maxTokens',
      problem: `${asked} is more than the ${fixedLength} tokens that the model accepts`,
    });
  if (said !== undefined && asked > said.count)
    logger.warn("maxTokens is more than the limit in the model's files: the model may refuse longer texts", {
      maxTokens: asked,
      says: said.count,
      file: said.file,
    });
  return asked;
}

function refuseMisfits({
  maxTokens,
  inputs,
  reader: {
    vocabulary: { before, after, zeroTypes },
  },
}: Setup): void {
  const special = before.length + after.length;
  if (maxTokens <= special)
    throw new AppError('BAD_CONFIG', {
      where: 'spec.model.embedding.maxTokens',
      problem: `maxTokens is ${maxTokens}, but must be greater than the tokenizer's ${special} special tokens`,
    });
  if (zeroTypes || !inputs.specs.some(({ name }) => name === 'token_type_ids')) return;
  throw new AppError('BAD_CONFIG', {
    where: 'spec.model.embedding.tokenizer',
    problem:
      'its post_processor gives tokens of a single text a type_id other than 0, which this runtime does not pass to ' +
      'token_type_ids',
  });
}

async function answer(setup: Setup, call: TaskCall): Promise<TaskReply> {
  const {
    deps: { config, clock },
    reader,
    output: { width },
  } = setup;
  const request = await reader.read(call.body, call.signal);
  refuseOtherDimensions(request, width);
  call.trace.decoded(request.ids.length);
  const vectors = await embed(setup, request, call);
  refuseOtherDimensions(request, vectors[0]?.length);
  const slice = new Slice(clock, sliceMs);
  const entries: string[] = [];
  for (const [index, vector] of vectors.entries()) {
    if (slice.isOver) await slice.next();
    entries.push(printEmbedding(index, vector, request.encoding));
  }
  return { contentType: 'application/json', body: printEmbeddingsReply(entries, config.name, request.ids.length) };
}

/**
 * Refuses a request for vectors of another length. A shortened vector keeps its meaning only if the model was trained
 * for shortening, which the spec cannot declare yet.
 */
function refuseOtherDimensions({ dimensions }: TokenRequest, width: number | undefined): void {
  if (dimensions === undefined || width === undefined || dimensions === width) return;
  throw new AppError('FIELD_INVALID', {
    field: 'dimensions',
    problem: `this model returns ${width} dimensions and cannot return ${dimensions}`,
  });
}

/** @returns a vector for each row, in the request's order */
async function embed(setup: Setup, request: TokenRequest, call: TaskCall): Promise<readonly Float32Array[]> {
  const {
    deps: { config, clock, inference },
    inputs,
  } = setup;
  const lengths = Array.from(request.ends, (end, row) => end - (row === 0 ? 0 : (request.ends[row - 1] ?? 0)));
  const onCpu = config.execution.providers[0]?.name === 'CPU';
  const maxTokens = onCpu ? maxPieceTokens.onCpu : maxPieceTokens.elsewhere;
  const pieces = planPieces(lengths, { maxRows: inference.maxRows, maxTokens, canPad: inputs.takesMask });
  const vectors: Float32Array[] = Array.from({ length: lengths.length });
  const beganMs = clock.monotonic();
  let queueMs = 0;
  let isShared = false;
  const failed = new AbortController();
  const signal = AbortSignal.any([call.signal, failed.signal]);
  const waiting = pieces.values();
  // Each lane runs one piece at a time. All lanes take their pieces from the same iterator.
  const lane = async (): Promise<void> => {
    for (const piece of waiting) {
      const ran = await runPiece(setup, request, {
        piece,
        lengths,
        signal,
        tier: call.tier,
        client: call.client,
        deadlineMs: call.deadlineMs,
      });
      queueMs = Math.max(queueMs, ran.queueMs);
      isShared ||= ran.isShared;
      piece.rows.forEach((row, index) => (vectors[row] = ran.vectors[index] ?? new Float32Array()));
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(piecesAtOnce, pieces.length) }, lane));
  } catch (error) {
    failed.abort(error);
    throw error;
  }
  call.trace.inferred({ queueMs, inferMs: clock.monotonic() - beganMs - queueMs, isShared });
  return vectors;
}

type PieceRun = {
  readonly piece: Piece;
  readonly lengths: readonly number[];
  readonly signal: AbortSignal;
  readonly tier: Tier;
  readonly client: string | undefined;
  readonly deadlineMs: number | undefined;
};

async function runPiece(
  setup: Setup,
  request: TokenRequest,
  { piece, lengths, signal, tier, client, deadlineMs }: PieceRun,
): Promise<{ readonly vectors: readonly Float32Array[]; readonly queueMs: number; readonly isShared: boolean }> {
  const {
    deps: { inference },
    config: { normalize },
    inputs,
    output: { name, poolingOf },
    reader,
    firstPosition,
  } = setup;
  const {
    outputs,
    queueMs,
    isShared = false,
  } = await inference.submit({
    inputs: pieceInputs(inputs, request, piece, { padId: reader.vocabulary.padId, firstPosition }),
    outputs: [name],
    signal,
    tier,
    client,
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  });
  const tensor = outputs[name];
  if (tensor === undefined)
    throw new AppError('ENGINE_FAILED', {
      model: setup.deps.config.name,
      why: `the model did not return the output '${name}'`,
    });
  return {
    queueMs,
    isShared,
    vectors: vectorsOf(tensor, name, {
      pooling: poolingOf(tensor.dims.length),
      normalize,
      lengths: piece.rows.map((row) => lengths[row] ?? 0),
    }),
  };
}
