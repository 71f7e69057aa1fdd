/**
 * The lines of a golden set, and a model's answer to each line.
 * Owns: the endpoint for a question, and the compact form of its answer.
 */
import { AppError, messageOf } from '../../api/errors.ts';
import { isRecord } from '../../api/record.ts';

export type Question = { readonly where: string; readonly request: Readonly<Record<string, unknown>> };

/** @throws AppError BAD_CONFIG that names the invalid line */
export function linesOf(text: string, file: string): readonly Question[] {
  const lines = text.split('\n').map((line, index) => ({ line, where: `${file}, line ${index + 1}` }));
  return lines
    .filter(({ line }) => line.trim() !== '')
    .map(({ line, where }) => ({ where, request: requestIn(line, where) }));
}

function requestIn(line: string, where: string): Question['request'] {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new AppError('BAD_CONFIG', { where, problem: messageOf(error) });
  }
  const request = isRecord(value) ? value['request'] : undefined;
  if (!isRecord(request)) throw new AppError('BAD_CONFIG', { where, problem: 'the line has no request' });
  return request;
}

/**
 * Asks the model.
 * @returns the line with the model's answer
 * @throws AppError REQUEST_INVALID with the server's message, SOURCE_UNAVAILABLE when the server does not answer
 */
export async function withAnswer(
  { where, request }: Question,
  { url, model }: { readonly url: string; readonly model: string },
): Promise<string> {
  const isText = request['input'] !== undefined;
  const path = isText ? '/v1/embeddings' : `/v2/models/${model}/infer`;
  // Request base64: it is exact to the last bit and has half the size of decimal numbers.
  const body = JSON.stringify(isText ? { ...request, model, encoding_format: 'base64' } : request);
  const answer = await ask(new URL(path, url), body, where);
  return JSON.stringify({ request, expected: isText ? { data: answer['data'] } : { outputs: answer['outputs'] } });
}

async function ask(url: URL, body: string, where: string): Promise<Readonly<Record<string, unknown>>> {
  let response: Response;
  try {
    response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  } catch (error) {
    throw new AppError('SOURCE_UNAVAILABLE', { uri: url.href, why: messageOf(error) }, { cause: error });
  }
  const text = await response.text();
  if (!response.ok)
    throw new AppError('REQUEST_INVALID', {
      problem: `${where}: the model answered ${response.status}: ${text.slice(0, 300)}`,
    });
  return JSON.parse(text) as Readonly<Record<string, unknown>>;
}
