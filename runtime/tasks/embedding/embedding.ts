/**
 * The task Embedding: texts in, one vector each, by OpenAI's protocol.
 *
 * Owns:   the way of a request: read and tokenise, cut into pieces of like length, run, pool, print. The parts
 *         are in files of their own; this one joins them and holds their limits together.
 * Limits: of one request, four pieces are in the batcher at a time, so that a long list leaves room for others.
 * Ends:   the first piece that fails ends the request and calls off the others.
 */
import { dirname, join } from 'node:path';
import { AppError } from '../../../api/errors.ts';
import type { EmbeddingConfig } from '../../../api/runtime-config.ts';
import type { TensorSpec } from '../../engine/signature.ts';
import { openAiError, printEmbedding, printEmbeddingsReply } from '../../protocol/openai-embeddings.ts';
import type { Task, TaskCall, TaskContext, TaskReply } from '../task.ts';
import { encoderInputs, pieceInputs, type EncoderInputs } from './inputs.ts';
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
  readonly output: string;
  /** Numbers a vector has; undefined when only a run can tell. */
  readonly width: number | undefined;
};

/** @throws AppError BAD_CONFIG or MODEL_INVALID where tokenizer, model and spec do not fit together */
export async function createEmbedding(context: TaskContext): Promise<Task> {
  const { config, signature, clock, logger, sourceFile, parseBytes } = context;
  const embedding = config.embedding;
  if (embedding === undefined) throw new AppError('BAD_CONFIG', { where: 'embedding', problem: 'the task Embedding needs it' });
  const inputs = encoderInputs(signature);
  const { name: output, dims } = chooseOutput(signature.outputs, embedding);
  const width = dims?.at(-1);
  const { tokenizer, maxTokens, onTooLong } = embedding;
  const rules = { model: config.name, maxTokens, onTooLong };
  const task = { path: sourceFile(tokenizer), configPath: sourceFile(join(dirname(tokenizer), 'tokenizer_config.json')), rules };
  const reader = await RequestReader.start({ task, clock, logger, memoryBytes: parseBytes });
  const setup: Setup = { context, config: embedding, reader, inputs, output, width: typeof width === 'number' ? width : undefined };
  try {
    refuseShortLimit(setup);
  } catch (error) {
    await reader.close();
    throw error;
  }
  return {
    routes: [{ method: 'POST', path: '/v1/embeddings', handle: (call) => answer(setup, call), errorBody: openAiError }],
    close: () => reader.close(),
  };
}

const floats: ReadonlySet<string> = new Set(['float32', 'float64', 'float16']);

/** The output asked for, else the one that sentence encoders name so, else the first. */
function chooseOutput(outputs: readonly TensorSpec[], { output, pooling }: EmbeddingConfig): TensorSpec {
  const wanted = output ?? (outputs.some(({ name }) => name === 'sentence_embedding') ? 'sentence_embedding' : outputs[0]?.name);
  const found = outputs.find(({ name }) => name === wanted);
  if (found === undefined) throw new AppError('BAD_CONFIG', { where: 'spec.model.embedding.output', problem: `the model has no output '${wanted ?? ''}', it has ${outputs.map(({ name }) => name).join(', ')}` });
  const rank = pooling === 'None' ? 2 : 3;
  if (found.dims !== undefined && found.dims.length !== rank) {
    throw new AppError('BAD_CONFIG', { where: 'spec.model.embedding.pooling', problem: `${pooling} needs an output of rank ${rank}, '${found.name}' has ${found.dims.length}` });
  }
  if (!floats.has(found.type)) throw new AppError('BAD_CONFIG', { where: 'spec.model.embedding.output', problem: `'${found.name}' is ${found.type}, an embedding is made of floats` });
  return found;
}

function refuseShortLimit({ config: { maxTokens }, reader: { vocabulary: { before, after } } }: Setup): void {
  const special = before.length + after.length;
  if (maxTokens <= special) throw new AppError('BAD_CONFIG', { where: 'spec.model.embedding.maxTokens', problem: `${maxTokens} leaves no room beside the ${special} special tokens of this tokenizer` });
}

async function answer(setup: Setup, call: TaskCall): Promise<TaskReply> {
  const { context: { config, clock }, reader, width } = setup;
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
  throw new AppError('FIELD_INVALID', { field: 'dimensions', problem: `this model gives ${width} and cannot give ${dimensions}` });
}

/** @returns a vector for each row, in the request's order */
async function embed(setup: Setup, request: TokenRequest, call: TaskCall): Promise<readonly Float32Array[]> {
  const { context: { config, clock, inference }, inputs } = setup;
  const lengths = Array.from(request.ends, (end, row) => end - (row === 0 ? 0 : (request.ends[row - 1] ?? 0)));
  const onCpu = config.execution.providers[0]?.name === 'CPU';
  const maxTokens = onCpu ? maxPieceTokens.onCpu : maxPieceTokens.elsewhere;
  const pieces = planPieces(lengths, { maxRows: inference.maxRows, maxTokens, canPad: inputs.takesMask });
  const vectors: Float32Array[] = Array.from({ length: lengths.length });
  const beganMs = clock.monotonic();
  let queueMs = 0;
  const failed = new AbortController();
  const signal = AbortSignal.any([call.signal, failed.signal]);
  const waiting = pieces.values();
  // Each lane takes the next piece when its last is done; the iterator is theirs in common.
  const lane = async (): Promise<void> => {
    for (const piece of waiting) {
      const ran = await runPiece(setup, request, { piece, lengths, signal, deadlineMs: call.deadlineMs });
      queueMs = Math.max(queueMs, ran.queueMs);
      piece.rows.forEach((row, index) => (vectors[row] = ran.vectors[index] ?? new Float32Array()));
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(piecesAtOnce, pieces.length) }, lane));
  } catch (error) {
    failed.abort(error);
    throw error;
  }
  call.trace.inferred({ queueMs, inferMs: clock.monotonic() - beganMs - queueMs });
  return vectors;
}

type PieceRun = { readonly piece: Piece; readonly lengths: readonly number[]; readonly signal: AbortSignal; readonly deadlineMs: number | undefined };

async function runPiece(setup: Setup, request: TokenRequest, { piece, lengths, signal, deadlineMs }: PieceRun): Promise<{ readonly vectors: readonly Float32Array[]; readonly queueMs: number }> {
  const { context: { inference }, config: { pooling, normalize }, inputs, output, reader } = setup;
  const { outputs, queueMs } = await inference.submit({
    inputs: pieceInputs(inputs, request, piece, reader.vocabulary.padId),
    outputs: [output],
    signal,
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  });
  const tensor = outputs[output];
  if (tensor === undefined) throw new AppError('ENGINE_FAILED', { model: setup.context.config.name, why: `it gave no output '${output}'` });
  return { queueMs, vectors: vectorsOf(tensor, output, { pooling, normalize, lengths: piece.rows.map((row) => lengths[row] ?? 0) }) };
}
