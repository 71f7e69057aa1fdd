/**
 * Finds a request that a served model can answer, by asking the server.
 * Owns: the choice between /v1/embeddings and the Open Inference Protocol, and an input with the model's shapes.
 * Limits: 10 s for each request to the server. When a model accepts any size of a dimension, the size 1 is used.
 * Throws: AppError SOURCE_UNAVAILABLE with the server's message.
 */
import { AppError, messageOf } from '../../api/errors.ts';
import { isRecord } from '../../api/record.ts';
import { embed } from '../client/embeddings.ts';

export type Question = {
  /** The name of the model. */
  readonly name: string;
  readonly path: string;
  /** Sends the request. Rejects when the status of the answer is not 200. */
  readonly send: (signal: AbortSignal) => Promise<void>;
};

const answerWithinMs = 10_000;

/** Finds a request. @param asked.model the name of the model; absent: the first model that the server lists */
export async function questionFor(
  url: URL,
  asked: { readonly model?: string | undefined; readonly text: string },
  stop: AbortSignal,
): Promise<Question> {
  try {
    const name = asked.model ?? firstOf(await call(url, '/v2/repository/index', {}, stop));
    const byText = embeddings(url, name, asked.text);
    const first = await byText.send(within(stop)).then(() => undefined, messageOf);
    if (first === undefined) return byText;
    const path = `/v2/models/${encodeURIComponent(name)}`;
    const byTensor = inference(url, name, `${path}/infer`, inputsFor(await call(url, path, undefined, stop)));
    await byTensor.send(within(stop));
    return byTensor;
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? `: ${messageOf(error.cause)}` : '';
    throw new AppError('SOURCE_UNAVAILABLE', { uri: url.href, why: `${messageOf(error)}${cause}` }, { cause: error });
  }
}

function embeddings(url: URL, name: string, text: string): Question {
  return { name, path: '/v1/embeddings', send: async (signal) => void (await embed(url.href, name, [text], signal)) };
}

function inference(url: URL, name: string, path: string, inputs: readonly Input[]): Question {
  return { name, path, send: async (signal) => void (await call(url, path, { inputs }, signal)) };
}

const within = (stop: AbortSignal): AbortSignal => AbortSignal.any([stop, AbortSignal.timeout(answerWithinMs)]);

/** Sends a request and reads the JSON answer. @param body absent: a GET @throws Error with the server's message */
async function call(url: URL, path: string, body: object | undefined, signal: AbortSignal): Promise<unknown> {
  const post = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  const answer = await fetch(new URL(path, url), {
    ...post,
    headers: { 'content-type': 'application/json' },
    signal: within(signal),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path} was answered with ${answer.status}: ${text.slice(0, 300)}`);
  return JSON.parse(text) as unknown;
}

function firstOf(index: unknown): string {
  const [first] = Array.isArray(index) ? (index as unknown[]) : [];
  const name = isRecord(first) ? first['name'] : undefined;
  if (typeof name !== 'string') throw new Error('the server does not list a model; give one with --model');
  return name;
}

export type Input = {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: string;
  readonly data: readonly (number | boolean | string)[];
};

/** Inputs that the model accepts. @param metadata the model's metadata, as in the Open Inference Protocol */
export function inputsFor(metadata: unknown): readonly Input[] {
  const inputs = isRecord(metadata) && Array.isArray(metadata['inputs']) ? metadata['inputs'] : [];
  return inputs.filter(isRecord).map(({ name, datatype, shape }) => {
    const fixed = (Array.isArray(shape) ? shape : []).map((size) => (typeof size === 'number' && size > 0 ? size : 1));
    const count = fixed.reduce((product, size) => product * size, 1);
    return {
      name: String(name),
      datatype: String(datatype),
      shape: fixed,
      data: Array.from({ length: count }, () => valueOf(String(datatype))),
    };
  });
}

function valueOf(datatype: string): number | boolean | string {
  if (datatype === 'BYTES') return 'text';
  if (datatype === 'BOOL') return true;
  return datatype.startsWith('FP') || datatype === 'BF16' ? 0.5 : 1;
}
