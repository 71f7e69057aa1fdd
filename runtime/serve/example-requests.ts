/**
 * The requests that a server sends to itself before it is ready (self-requests.ts): an example request of the model's
 * task, and generated inputs in both forms of the Open Inference Protocol (JSON, and binary data).
 *
 * Owns: the choice and the form of these requests, and how long they are sent.
 */
import { AppError } from '../../api/errors.ts';
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import type { Logger } from '../../lib/log.ts';
import type { Signature } from '../engine/signature.ts';
import { trialInputs } from '../engine/trial-inputs.ts';
import { elementCount, type NamedTensors, type Tensor } from '../engine/tensor.ts';
import { encodeQuestion } from '../protocol/oip/client.ts';
import { datatypeOf } from '../protocol/oip/datatypes.ts';
import type { Task } from '../tasks/task.ts';
import { cpuMs } from './cpu-time.ts';
import { sendSelfRequests, type SelfRequest, type SelfRequestsDeps } from './self-requests.ts';

/** Larger inputs are only sent in binary form, because JSON of this size is parsed on another thread. */
const maxJsonElements = 4_096;

/** Self-requests may take this share of the warm-up's timeout. */
const timeoutShare = 1 / 4;

export type ExampleSources = {
  readonly signature: Signature;
  readonly task: Pick<Task, 'example'>;
  /** The size of free dimensions that the model accepted; undefined when it accepted none. */
  readonly fill: number | undefined;
};

export type WarmHandlersDeps = Pick<SelfRequestsDeps, 'serve' | 'plain' | 'clock' | 'stop'> & {
  readonly config: RuntimeConfig;
  readonly selfRequestsMs: number;
  readonly logger: Logger;
};

/** @throws AppError DRAINING when `stop` was aborted */
export async function warmHandlers(
  model: ExampleSources,
  { config: { name, warmup }, selfRequestsMs, logger, ...deps }: WarmHandlersDeps,
): Promise<void> {
  logger.info('model warmed up', { processCpuMs: Math.round(cpuMs()) });
  const { done, problem } = await sendSelfRequests({
    ...deps,
    requests: warmup.requests === 0 ? [] : exampleRequests(name, model),
    limitMs: Math.min(selfRequestsMs, warmup.timeoutMs * timeoutShare),
    cpuMs,
  });
  if (deps.stop.aborted) throw new AppError('DRAINING', undefined);
  if (problem !== undefined) logger.warn('a self-request failed before the server was ready', { problem });
  logger.info('self-requests sent', { done });
}

/** @param name name of the model */
export function exampleRequests(name: string, { signature, task, fill }: ExampleSources): readonly SelfRequest[] {
  const inputs = fill === undefined ? undefined : trialInputs(signature.inputs, { fill, rows: 1, seed: 1 });
  return [
    ...(task.example === undefined ? [] : [jsonRequest(task.example.path, task.example.body)]),
    ...(inputs === undefined ? [] : inferRequests(`/v2/models/${name}/infer`, inputs)),
  ];
}

function inferRequests(path: string, inputs: NamedTensors): readonly SelfRequest[] {
  const { body, jsonBytes } = encodeQuestion(inputs, []);
  const headers = {
    'content-type': 'application/octet-stream',
    'inference-header-content-length': String(jsonBytes),
  };
  const asJson = jsonInputs(inputs);
  return [{ path, headers, body }, ...(asJson === undefined ? [] : [jsonRequest(path, { inputs: asJson })])];
}

/** The inputs as JSON; undefined when one of them is large, or cannot be written as JSON. */
function jsonInputs(inputs: NamedTensors): readonly object[] | undefined {
  const tensors = Object.entries(inputs);
  if (tensors.some(([, { type, dims }]) => type === 'float16' || elementCount(dims) > maxJsonElements))
    return undefined;
  return tensors.map(([name, tensor]) => ({
    name,
    datatype: datatypeOf(tensor.type),
    shape: tensor.dims,
    data: numbersOf(tensor),
  }));
}

/** Generated integers are 0 or 1, so that each fits into a number. */
function numbersOf({ type, data }: Tensor): readonly unknown[] {
  if (type === 'string') return data;
  if (type === 'bool') return Array.from(data, (value) => value !== 0);
  return Array.from(data as Iterable<number | bigint>, Number);
}

function jsonRequest(path: string, body: unknown): SelfRequest {
  return { path, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(body)) };
}
