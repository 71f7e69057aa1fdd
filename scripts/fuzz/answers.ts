/**
 * Compares an answer of the Open Inference Protocol with the expected outputs.
 * Owns: reading an answer as JSON or with binary data. Numbers are compared by their value; integers beyond 2^53 are
 * compared digit by digit.
 * Pure. The fuzzer sends random requests (cases) to model servers. Its reference computes the expected answers with
 * code of its own; a judgement is its result for one request.
 */
import { errorBody, statusIn, type Answer, type Check } from './cases.ts';
import type { Values } from './models.ts';
import type { Judgement, Wanted } from './judgement.ts';
import { valuesOfBytes } from './tensor-bytes.ts';

const refusals = [400, 413];
const largestFloat32 = (2 - 2 ** -23) * 2 ** 127;
/** In a model with a tolerance, the absolute value of a sum is at most this multiple of the largest input. */
const mostAdded = 4;

/** How far a number may be from the expected number. */
type Leeway = {
  readonly allowed: number;
  /**
   * True when a sum of the inputs may exceed the range of float32. The order of addition then decides whether it does.
   */
  readonly mayOverflow: boolean;
};

/**
 * The statuses of a request whose deadline is missed: 429 when the server foresees this, 504 when the deadline passes.
 */
export const late: readonly number[] = [429, 504];

/**
 * The check for a judgement of the reference. @param tolerance the allowed error of a float, relative to the largest
 * input
 */
export function checkOf(judgement: Judgement, tolerance: number): Check {
  if (judgement.kind === 'Unsure') return statusIn(200, ...refusals, ...late);
  if (judgement.kind === 'Refused') {
    const statuses = judgement.mayExpire === true ? [...refusals, ...late] : refusals;
    return (answer) =>
      statuses.includes(answer.status)
        ? errorBody(answer)
        : `status ${answer.status}, expected a refusal ` +
          `(${judgement.why})${answer.status === 200 ? `, got ${shown(answer)}` : ''}`;
  }
  const leeway = {
    allowed: judgement.largest * tolerance,
    mayOverflow: tolerance > 0 && judgement.largest * mostAdded >= largestFloat32,
  };
  return (answer) => {
    if (late.includes(answer.status) && judgement.mayExpire) return errorBody(answer);
    if (answer.status !== 200) return `status ${answer.status}, expected 200: ${shown(answer)}`;
    return compareAnswer(judgement, answer, leeway);
  };
}

type Head = {
  readonly name?: unknown;
  readonly datatype?: unknown;
  readonly shape?: unknown;
  readonly data?: readonly unknown[];
  readonly parameters?: { readonly binary_data_size?: unknown };
};

function compareAnswer(
  { outputs, id }: Extract<Judgement, { kind: 'Answer' }>,
  answer: Answer,
  leeway: Leeway,
): string | undefined {
  const binary = outputs.some((output) => output.binary);
  const header = answer.headers.get('inference-header-content-length');
  if (binary !== (header !== undefined))
    return binary ? 'the binary data has no header' : 'a header of binary data although the request did not ask for it';
  const end = header === undefined ? answer.body.length : Number(header);
  const wide = outputs.some(({ datatype }) => datatype === 'INT64' || datatype === 'UINT64');
  const json = (parse(answer.body.subarray(0, end).toString('utf8'), wide) ?? {}) as {
    readonly id?: unknown;
    readonly outputs?: readonly Head[];
  };
  if (json.id !== id) return `the answer's id is ${JSON.stringify(json.id)}, expected ${JSON.stringify(id)}`;
  if (json.outputs?.length !== outputs.length)
    return `${json.outputs?.length ?? 'no'} outputs, expected ${outputs.length}`;
  return compareOutputs(outputs, json.outputs, answer.body.subarray(end), leeway);
}

function compareOutputs(
  outputs: readonly Wanted[],
  heads: readonly Head[],
  blob: Buffer,
  leeway: Leeway,
): string | undefined {
  let at = 0;
  for (const [position, want] of outputs.entries()) {
    const head = heads[position] ?? {};
    const size = want.binary ? Number(head.parameters?.binary_data_size) : 0;
    const problem = compareOutput(want, head, blob.subarray(at, at + size), leeway);
    if (problem !== undefined) return `output '${want.name}': ${problem}`;
    at += size;
  }
  return at === blob.length ? undefined : `${blob.length - at} bytes behind the last output`;
}

function compareOutput(want: Wanted, head: Head, blob: Buffer, leeway: Leeway): string | undefined {
  if (head.name !== want.name || head.datatype !== want.datatype)
    return `is ${String(head.name)} of ${String(head.datatype)}`;
  if (
    JSON.stringify(head.shape, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)) !==
    JSON.stringify(want.dims)
  )
    return `has shape ${String(head.shape)}, expected ${want.dims.join(',')}`;
  const values = want.binary ? valuesOfBytes(want.datatype, blob, want.values.length) : head.data;
  if (values === undefined || values.length !== want.values.length)
    return `has ${values?.length ?? 'no usable'} values, expected ${want.values.length}`;
  const wrong = want.values.findIndex((value, at) => !same(value, values[at], leeway));
  return wrong < 0
    ? undefined
    : `element ${wrong} is ${String(values[wrong])}, expected ${String((want.values as Values)[wrong])}`;
}

function same(want: number | bigint | string, got: unknown, leeway: Leeway): boolean {
  if (typeof want === 'string') return got === want;
  if (typeof got === 'boolean') return Number(got) === Number(want);
  if (typeof want === 'bigint') return got === want;
  const value = typeof got === 'bigint' ? Number(got) : got;
  return typeof value === 'number' && close(want, value, leeway);
}

/**
 * Whether a number is close enough. -0 is printed as 0, so -0 and 0 count as equal. A sum that overflows in one order
 * of addition may be finite, or NaN, in another order.
 */
function close(want: number, value: number, { allowed, mayOverflow }: Leeway): boolean {
  if (value === want || Object.is(value, want) || Math.fround(value) === want) return true;
  if (mayOverflow && !(Number.isFinite(value) && Number.isFinite(want))) return true;
  return allowed > 0 && !(Math.abs(value - want) > allowed);
}

type Context = { readonly source?: string };

/** @param wide true: integers become bigints, which keep every digit */
function parse(text: string, wide: boolean): unknown {
  try {
    if (!wide) return JSON.parse(text);
    const revive = (_: string, value: unknown, { source }: Context): unknown =>
      typeof value === 'number' && source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value;
    return (
      JSON.parse as (text: string, revive: (key: string, value: unknown, context: Context) => unknown) => unknown
    )(text, revive);
  } catch {
    return undefined;
  }
}

function shown({ body }: Answer): string {
  return body.subarray(0, 200).toString('utf8');
}
