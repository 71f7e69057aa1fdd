/**
 * The task Embedding: texts in, one vector each, by OpenAI's protocol.
 *
 * Owns:   the way of a request: read and tokenise, cut into pieces of like length, run, pool, print. The parts
 *         are in files of their own; this one joins them and holds their limits together.
 * Limits: of one request, four pieces are in the batcher at a time, so that a long list leaves room for others.
 * Ends:   the first piece that fails ends the request and calls off the others.
 */
import type { Tier } from '../../../api/tiers.ts';
import { dirname, join } from 'node:path';
import { AppError } from '../../../api/errors.ts';
import type { EmbeddingConfig } from '../../../api/runtime-config.ts';
import { openAiError, printEmbedding, printEmbeddingsReply, embeddingsPath } from '../../protocol/openai/embeddings.ts';
import type { TaskCall, TaskReply } from '../../call/call.ts';
import type { Task, TaskContext } from '../task.ts';
import { encoderInputs, pieceInputs, type EncoderInputs } from './inputs.ts';
import { readModelFacts, type ModelFacts } from './model-files.ts';
import { chooseOutput, type ChosenOutput } from './output.ts';
import { planPieces, type Piece } from './pieces.ts';
import type { TokenRequest } from './read-request.ts';
import { Slice } from './slice.ts';
import { RequestReader } from './tokenizer-thread.ts';
import { vectorsOf } from './vectors.ts';

/**
 * Padded tokens of a piece. On a CPU an encoder gains nothing from company beyond a few hundred tokens, and what it
 * needs for intermediate results grows with each; elsewhere a device has to be filled.
 */
const maxPieceTokens = { onCpu: 512, elsewhere: 8192 } as const;
const piecesAtOnce = 4;
/** How long printing or pooling may keep the HTTP thread. */
const sliceMs = 4;

/** What was found out about model and tokenizer when the task was made. */
type Setup = {
  readonly context: TaskContext;
  readonly config: EmbeddingConfig;
  readonly reader: RequestReader;
  readonly inputs: EncoderInputs;
  readonly output: ChosenOutput;
  readonly maxTokens: number;
  readonly firstPosition: number;
};

/** Where neither the spec nor a file beside the model says how long a text may be. */
const usualMaxTokens = 512;

/** @throws AppError BAD_CONFIG or MODEL_INVALID where tokenizer, model and spec do not fit together */
export async function createEmbedding(context: TaskContext): Promise<Task> {
  const { config, signature, clock, logger, sourceFile, parseBytes } = context;
  const embedding = config.embedding;
  if (embedding === undefined)
    throw new AppError('BAD_CONFIG', { where: 'embedding', problem: 'the task Embedding needs it' });
  const { tokenizer, onTooLong } = embedding;
  const facts = await readModelFacts(tokenizer, sourceFile);
  const inputs = encoderInputs(signature);
  const output = chooseOutput(signature.outputs, embedding, facts.pooling);
  const maxTokens = maxTokensOf(embedding, facts, inputs, context);
  const rules = { model: config.name, maxTokens, onTooLong };
  const task = {
    path: sourceFile(tokenizer),
    configPath: sourceFile(join(dirname(tokenizer), 'tokenizer_config.json')),
    rules,
  };
  const reader = await RequestReader.start({ task, clock, logger, memoryBytes: parseBytes });
  const setup: Setup = {
    context,
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
    close: () => reader.close(),
  };
}

/** The spec's number; else the model's, by its files; never more than the model takes. */
function maxTokensOf(
  { maxTokens: asked }: EmbeddingConfig,
  { maxTokens: said }: ModelFacts,
  { fixedLength = Infinity }: EncoderInputs,
  { logger }: TaskContext,
): number {
  if (asked === undefined) return Math.min(said?.count ?? usualMaxTokens, fixedLength);
  if (asked > fixedLength)
    throw new AppError('BAD_CONFIG', {
      where: 'spec.model.embedding.maxTokens',
      problem: `${asked} is more than the ${fixedLength} tokens that the model takes`,
    });
  if (said !== undefined && asked > said.count)
    logger.warn('maxTokens is more than the model says it can take: longer texts may be refused by it', {
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
      problem: `${maxTokens} leaves no room beside the ${special} special tokens of this tokenizer`,
    });
  if (zeroTypes || !inputs.specs.some(({ name }) => name === 'token_type_ids')) return;
  throw new AppError('BAD_CONFIG', {
    where: 'spec.model.embedding.tokenizer',
    problem:
      'its post_processor gives tokens of one text a type_id other than 0, which this runtime does not feed to ' +
      'token_type_ids',
  });
}

async function answer(setup: Setup, call: TaskCall): Promise<TaskReply> {
  const {
    context: { config, clock },
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

/** Cutting a vector short keeps its meaning only for models that were trained for it, and no spec can say so yet. */
function refuseOtherDimensions({ dimensions }: TokenRequest, width: number | undefined): void {
  if (dimensions === undefined || width === undefined || dimensions === width) return;
  throw new AppError('FIELD_INVALID', {
    field: 'dimensions',
    problem: `this model gives ${width} and cannot give ${dimensions}`,
  });
}

/** @returns a vector for each row, in the request's order */
async function embed(setup: Setup, request: TokenRequest, call: TaskCall): Promise<readonly Float32Array[]> {
  const {
    context: { config, clock, inference },
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
  // Each lane takes the next piece when its last is done; the iterator is theirs in common.
  const lane = async (): Promise<void> => {
    for (const piece of waiting) {
      const ran = await runPiece(setup, request, {
        piece,
        lengths,
        signal,
        tier: call.tier,
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
  readonly deadlineMs: number | undefined;
};

async function runPiece(
  setup: Setup,
  request: TokenRequest,
  { piece, lengths, signal, tier, deadlineMs }: PieceRun,
): Promise<{ readonly vectors: readonly Float32Array[]; readonly queueMs: number; readonly isShared: boolean }> {
  const {
    context: { inference },
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
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  });
  const tensor = outputs[name];
  if (tensor === undefined)
    throw new AppError('ENGINE_FAILED', { model: setup.context.config.name, why: `it gave no output '${name}'` });
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
