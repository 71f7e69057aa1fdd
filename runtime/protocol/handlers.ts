/**
 * Handlers of the Open Inference Protocol v2 and of OpenAI's list of models, independent of the transport.
 *
 * Owns:  the handlers, including the handlers of Triton's widely used extensions. oip/ decodes and encodes tensors. A
 *        call is one request without its transport; a task is the use of a model and its protocol.
 */
import type { InferStats } from '../call/tally.ts';
import type { InferenceResult, Inference } from '../batching/port.ts';
import { checkInputs, chooseOutputs, type Signature } from '../engine/signature.ts';
import { elementsOf, type NamedTensors } from '../engine/tensor.ts';
import { datatypeOf, invalidRequest } from './oip/datatypes.ts';
import type { InferRequest } from './oip/decode.ts';
import { modelConfig, modelMetadata, modelStatistics, repositoryIndex, serverMetadata } from './oip/describe.ts';
import { noJsonForm, type InferResponse } from './oip/encode.ts';
import { decodeRaw } from './oip/raw.ts';
import { openAiError } from './openai/embeddings.ts';
import { openAiModel, openAiModels } from './openai/models.ts';
import { jsonAnswer, protocolErrorBody, type Answer } from '../call/answer.ts';
import type { Codec } from './oip/codec.ts';
import type { Encoded } from './oip/codec-messages.ts';
import type { Call, Handler, RouteName } from '../call/handler.ts';
import type { Readiness } from '../call/readiness.ts';

/** The parts of the loaded model that the handlers use. */
export type ProtocolModel = {
  readonly signature: Signature;
  readonly inference: Inference;
  readonly codec: Codec;
  /** Maximum number of tokens of one text; undefined for a task without such a limit. */
  readonly maxTokens: number | undefined;
  readonly stats: () => InferStats;
  readonly batching: () => { readonly maxRows: number; readonly maxDelayMs: number; readonly workers: number };
};

export type ProtocolDeps = {
  readonly served: { readonly name: string; readonly version: string };
  readonly serverVersion: string;
  /** Unix time in seconds. */
  readonly startedSeconds: number;
  readonly readiness: Readiness;
  /** @throws AppError NOT_READY until the model is loaded */
  readonly model: () => ProtocolModel;
};

/** The calls that a server answers for every task. */
export type ProtocolHandlers = Readonly<
  Record<
    | 'live'
    | 'ready'
    | 'startup'
    | 'server'
    | 'repositoryIndex'
    | 'modelMetadata'
    | 'modelReady'
    | 'modelConfig'
    | 'modelStats'
    | 'infer'
    | 'openAiModels'
    | 'openAiModel',
    Handler
  >
>;

export function protocolHandlers(deps: ProtocolDeps): ProtocolHandlers {
  const { served, readiness, model } = deps;
  const named = { name: served.name, createdSeconds: deps.startedSeconds };
  return {
    live: handler('health', () => jsonAnswer({ live: readiness.alive }, readiness.alive ? 200 : 503)),
    ready: handler('health', () => readyAnswer(readiness)),
    startup: handler('health', () =>
      jsonAnswer({ started: readiness.startedUp, state: readiness.reason }, readiness.startedUp ? 200 : 503),
    ),
    server: handler('metadata', () => jsonAnswer(serverMetadata(deps.serverVersion))),
    repositoryIndex: handler('metadata', async (call) => {
      await call.readBody(0);
      return jsonAnswer(repositoryIndex(served, readiness));
    }),
    modelMetadata: handler('metadata', () => jsonAnswer(modelMetadata(served, model().signature))),
    modelReady: handler('health', () =>
      jsonAnswer({ name: served.name, ready: readiness.ready }, readiness.ready ? 200 : 503),
    ),
    modelConfig: handler('metadata', () => jsonAnswer(modelConfig(served, model().signature, model().batching()))),
    modelStats: handler('metadata', () => jsonAnswer(modelStatistics(served, model().stats()))),
    infer: { ...handler('infer', (call) => infer(served, model(), call)), needsRoom: true },
    openAiModels: openAi(() => jsonAnswer(openAiModels(named))),
    openAiModel: openAi(() => jsonAnswer(openAiModel(named))),
  };
}

function handler(name: RouteName, handle: Handler['handle']): Handler {
  return { name, needsRoom: false, handle, errorBody: protocolErrorBody };
}

function openAi(handle: Handler['handle']): Handler {
  return { ...handler('metadata', handle), errorBody: openAiError };
}

/**
 * The answer has the fields `ready` and `live`, because the protocol's document names the field of this call "live" by
 * mistake. Clients read the HTTP status, or one of the two fields.
 */
function readyAnswer(readiness: Readiness): Answer {
  const { ready } = readiness;
  return jsonAnswer(
    { ready, live: readiness.alive, ...(ready ? {} : { reason: readiness.reason }) },
    ready ? 200 : 503,
  );
}

async function infer(served: ProtocolDeps['served'], model: ProtocolModel, call: Call): Promise<Answer> {
  const { trace, signal } = call;
  const beganMs = call.nowMs();
  const decoded = decodeRequest(model, call);
  // Do not await the result for a small request, which is decoded at once: an await costs a turn of the microtask
  // queue.
  const request = decoded instanceof Promise ? await decoded : decoded;
  checkInputs(model.signature, request.inputs, datatypeOf);
  checkLength(model, request.inputs);
  const { choices, names } = chooseForms(model.signature, request);
  trace.decoded(elementsOf(request.inputs));
  const deadlineMs = call.endBy(request.timeoutMs === undefined ? undefined : beganMs + request.timeoutMs);
  const result = await model.inference.submit({
    inputs: request.inputs,
    outputs: names,
    signal,
    tier: call.tier,
    client: call.client,
    hold: call.hold,
    deadlineMs,
  });
  trace.inferred(result);
  const encoded = model.codec.encode(responseOf(served, request, choices, result));
  return answerOf(encoded instanceof Promise ? await encoded : encoded);
}

/** Applies the limit on a text's tokens to [batch, sequence] tensors too. @throws AppError REQUEST_INVALID */
function checkLength({ maxTokens }: ProtocolModel, inputs: NamedTensors): void {
  if (maxTokens === undefined) return;
  for (const [name, { dims }] of Object.entries(inputs)) {
    const [, length = 0] = dims;
    if (dims.length === 2 && length > maxTokens)
      throw invalidRequest(
        `input '${name}' has sequences of ${length} tokens, spec.model.embedding.maxTokens is ${maxTokens}: send ` +
          'shorter ones, or text to /v1/embeddings',
      );
  }
}

/** Decodes an infer request in any of its three forms: JSON, JSON followed by binary data, or raw bytes. */
function decodeRequest(model: ProtocolModel, call: Call): InferRequest | Promise<InferRequest> {
  const jsonBytes = jsonBytesOf(call.headers['inference-header-content-length']);
  const body = call.readBody(jsonBytes ?? 0);
  if (body instanceof Promise) return body.then((bytes) => decodeBody(model, bytes, jsonBytes));
  return decodeBody(model, body, jsonBytes);
}

function decodeBody(
  model: ProtocolModel,
  body: Uint8Array<ArrayBuffer>,
  jsonBytes: number | undefined,
): InferRequest | Promise<InferRequest> {
  if (jsonBytes === 0) return decodeRaw(body, model.signature);
  if (body.length === 0) throw invalidRequest('the body is empty: an infer request is a JSON object with inputs');
  return model.codec.decode(body, jsonBytes ?? body.length);
}

function jsonBytesOf(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (!/^\d{1,15}$/.test(header))
    throw invalidRequest(`Inference-Header-Content-Length is '${header.slice(0, 40)}', not a number of bytes`);
  return Number(header);
}

type Choice = { readonly name: string; readonly binary: boolean };

type Chosen = {
  readonly signature: Signature;
  readonly binaryOutput: boolean;
  readonly choices: readonly Choice[];
  readonly names: readonly string[];
};

/**
 * The outputs chosen for a request's list of outputs. Requests with equal JSON heads share one list object
 * (oip/known-heads.ts).
 */
const chosenBefore = new WeakMap<InferRequest['outputs'], Chosen>();

/** Chooses the outputs and their form. Outputs that JSON cannot express are refused here, before the model runs. */
function chooseForms(signature: Signature, request: InferRequest): Chosen {
  const { outputs, binaryOutput } = request;
  const before = chosenBefore.get(outputs);
  if (before?.signature === signature && before.binaryOutput === binaryOutput) return before;
  const choices = chooseAnew(signature, request);
  const chosen = { signature, binaryOutput, choices, names: choices.map(({ name }) => name) };
  chosenBefore.set(outputs, chosen);
  return chosen;
}

function chooseAnew(signature: Signature, request: InferRequest): readonly Choice[] {
  const asked = new Map(request.outputs.map(({ name, binary }) => [name, binary]));
  return chooseOutputs(signature, [...asked.keys()]).map((name) => {
    const binary = asked.get(name) ?? request.binaryOutput;
    if (!binary && signature.outputs.some((output) => output.name === name && output.type === 'float16'))
      throw noJsonForm(name);
    return { name, binary };
  });
}

function responseOf(
  served: ProtocolDeps['served'],
  request: InferRequest,
  choices: readonly Choice[],
  result: InferenceResult,
): InferResponse {
  const outputs = choices.map(({ name, binary }) => {
    const tensor = result.outputs[name];
    if (tensor === undefined) throw new Error(`the engine gave no output ${name}`);
    return { name, tensor, binary };
  });
  return {
    model: served.name,
    version: served.version,
    outputs,
    ...(request.id === undefined ? {} : { id: request.id }),
  };
}

function answerOf({ chunks, bytes, jsonBytes }: Encoded): Answer {
  if (jsonBytes === undefined) return { status: 200, contentType: 'application/json', body: { chunks, bytes } };
  return {
    status: 200,
    contentType: 'application/octet-stream',
    body: { chunks, bytes, isOwn: true },
    headers: { 'inference-header-content-length': String(jsonBytes) },
  };
}
