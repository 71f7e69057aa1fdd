/**
 * The line that `serve` prints when it is ready: the name and URL of the model, and an example request. Pure.
 *
 * Owns: the example, which is a valid request, made from the entry of the model's task in the table of tasks, or from
 *       the model's signature (its inputs and outputs).
 */
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import type { Signature } from '../engine/signature.ts';
import { fills, trialInputs } from '../engine/trial-inputs.ts';
import { leftOutOf, type ModelInfo } from '../onnx/model-info.ts';
import { datatypeOf } from '../protocol/oip/datatypes.ts';
import { tasks } from '../tasks/registry.ts';

export type ReadyFacts = {
  readonly config: Pick<RuntimeConfig, 'name' | 'task'>;
  readonly signature: Signature & Partial<Pick<ModelInfo, 'otherOutputs'>>;
  /** http://host:port */
  readonly url: string;
  readonly metricsUrl: string;
  /** Why requests are not batched; undefined when requests are batched. */
  readonly alone?: string | undefined;
};

/** Maximum number of elements in the example, so that it fits into a few lines of a terminal. */
const maxElements = 64;

export function readyLine({ config, signature, url, metricsUrl, alone }: ReadyFacts): string {
  const asked = tasks[config.task].asked?.example(config.name);
  const example =
    asked === undefined ? tensorExample(config.name, signature, url) : curl(`${url}${asked.path}`, asked.body);
  const leftOut = leftOutOf({ otherOutputs: signature.otherOutputs ?? [] });
  return (
    `serving ${config.name} at ${url} (metrics at ` +
    `${metricsUrl}${alone === undefined ? '' : `; requests are not batched: ${alone}`}), ` +
    `${leftOut === '' ? '' : `without the outputs ${leftOut}, which are not tensors, `}try: ${example}\n`
  );
}

/** A request for inference, or a request for metadata when the inputs are large or have no JSON form. */
function tensorExample(name: string, signature: Signature, url: string): string {
  const path = `${url}/v2/models/${name}`;
  const inputs = Object.entries(trialInputs(signature.inputs, { fill: fills[0], rows: 1, seed: 1 }) ?? {});
  const elements = inputs.reduce((sum, [, { data }]) => sum + data.length, 0);
  if (inputs.length === 0 || elements > maxElements || inputs.some(([, { type }]) => type === 'float16'))
    return `curl -s ${path}`;
  const body = inputs.map(([tensor, { type, dims, data }]) => ({
    name: tensor,
    datatype: datatypeOf(type),
    shape: dims,
    data: Array.from<unknown, unknown>(data, jsonOf),
  }));
  return curl(`${path}/infer`, { inputs: body });
}

function jsonOf(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  return typeof value === 'number' ? Number(value.toFixed(3)) : value;
}

/**
 * The body is in single quotes for a shell; single quotes inside the body are escaped, because names of tensors may
 * contain them.
 */
function curl(url: string, body: unknown): string {
  return `curl -s ${url} -H 'content-type: application/json' -d '${JSON.stringify(body).replaceAll("'", "'\\''")}'`;
}
