/**
 * Chooses the model output that becomes the vector, and its pooling: how the vectors of a text's tokens become one.
 *
 * Owns:   the choice of output and pooling when the spec does not set them.
 * Throws: AppError BAD_CONFIG naming the field of the spec, with the outputs of the model.
 * Pure.
 */
import { AppError } from '../../../api/errors.ts';
import type { EmbeddingConfig, Pooling } from '../../../api/runtime-config.ts';
import { printDims, type TensorSpec } from '../../engine/signature.ts';
import type { ModelFacts } from './model-files.ts';

export type ChosenOutput = {
  readonly name: string;
  /** Length of a vector; undefined when it is only known after a run. */
  readonly width: number | undefined;
  /** The pooling for an output of this rank. It is a function, because the model's file may not state the rank. */
  readonly poolingOf: (rank: number) => Pooling;
};

const floats: ReadonlySet<string> = new Set(['float32', 'float64', 'float16']);

/** The requested output, else an output with the usual name in sentence encoders, else the first output. */
export function chooseOutput(
  outputs: readonly TensorSpec[],
  config: Pick<EmbeddingConfig, 'output' | 'pooling'>,
  said: ModelFacts['pooling'],
): ChosenOutput {
  const wanted =
    config.output ??
    (outputs.some(({ name }) => name === 'sentence_embedding') ? 'sentence_embedding' : outputs[0]?.name);
  const found = outputs.find(({ name }) => name === wanted);
  if (found === undefined)
    throw wrong(
      'output',
      `the model does not have the output '${wanted ?? ''}'; its outputs are ` +
        outputs.map(({ name }) => name).join(', '),
    );
  if (!floats.has(found.type))
    throw wrong('output', `'${found.name}' is ${found.type}, but an embedding consists of floats`);
  const poolingOf = (rank: number): Pooling => config.pooling ?? inferred(rank, said, found.name);
  if (found.dims !== undefined)
    checkRank(found.dims, { name: found.name, pooling: poolingOf(found.dims.length), outputs });
  const width = found.dims?.at(-1);
  return { name: found.name, width: typeof width === 'number' ? width : undefined, poolingOf };
}

function inferred(rank: number, said: ModelFacts['pooling'], output: string): Pooling {
  if (rank === 2) return 'None';
  if (said === 'mixed')
    throw wrong(
      'pooling',
      `1_Pooling/config.json sets a pooling of '${output}' that this runtime does not support: set one of None, ` +
        'Mean, Cls, Last',
    );
  return said ?? 'Mean';
}

function checkRank(
  dims: NonNullable<TensorSpec['dims']>,
  {
    name,
    pooling,
    outputs,
  }: { readonly name: string; readonly pooling: Pooling; readonly outputs: readonly TensorSpec[] },
): void {
  const rank = pooling === 'None' ? 2 : 3;
  if (dims.length === rank) return;
  const fitting = outputs
    .filter((output) => output.dims?.length === rank && floats.has(output.type))
    .map((output) => `'${output.name}'`);
  const instead =
    dims.length === 2
      ? 'remove pooling, or set None'
      : dims.length === 3
        ? 'remove pooling, or set Mean, Cls or Last'
        : 'the vector is made from [batch, hidden] or [batch, sequence, hidden]';
  const other = fitting.length === 0 ? '' : `, or set ${fitting.join(' or ')} as the output`;
  throw wrong(
    'pooling',
    `${pooling} needs an output of rank ${rank}, '${name}' has rank ${dims.length}, ${printDims(dims)}: ` +
      `${instead}${other}`,
  );
}

function wrong(field: string, problem: string): AppError {
  return new AppError('BAD_CONFIG', { where: `spec.model.embedding.${field}`, problem });
}
