/**
 * Chooses the graph file to serve, and refuses models that cannot fit into memory.
 *
 * Owns:  the choice of the file for a precision, and a rough estimate of the memory that the model needs.
 * Pure.
 */
import { AppError } from '../../api/errors.ts';
import type { Precision } from '../../api/choices.ts';
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import { guessedLoadBytes, sufficientLimit } from '../config/limits.ts';
import type { ModelInfo } from '../onnx/model-info.ts';
import type { Acquired } from './acquire.ts';
import { listed } from '../../lib/nearby.ts';

type Wanted = Pick<RuntimeConfig['source'], 'variants' | 'graphPath'>;

/**
 * @returns the graph's path inside the source
 * @throws PRECISION_MISSING when the spec lists no file of that precision; SOURCE_MISSING when the source lacks the
 *   file. Its message lists the source's .onnx files, or all files if there is no .onnx file.
 */
export function chooseGraph(
  acquired: Pick<Acquired, 'uri' | 'folder' | 'files'>,
  precision: Precision,
  wanted: Wanted,
): string {
  const path = pathOf(acquired, precision, wanted);
  if (acquired.files.some((file) => file.path === path)) return path;
  const graphs = acquired.files.map((file) => file.path).filter((name) => name.endsWith('.onnx'));
  const [only] = graphs;
  // When the spec does not name a file and the source has only one graph, use that graph.
  if (precision === 'Source' && wanted.graphPath === undefined && graphs.length === 1 && only !== undefined)
    return only;
  const instead =
    graphs.length === 0
      ? `the source has no .onnx file (found: ${listed(acquired.files.map((file) => file.path))})`
      : `the source has ${listed(graphs)}: name one in spec.model.graphs`;
  throw new AppError('SOURCE_MISSING', { uri: `${acquired.uri}${path}`, why: instead });
}

function pathOf(acquired: Pick<Acquired, 'folder' | 'files'>, precision: Precision, wanted: Wanted): string {
  if (precision !== 'Source') {
    const variant = wanted.variants.find((one) => one.precision === precision);
    if (variant === undefined) throw new AppError('PRECISION_MISSING', { precision });
    return variant.path;
  }
  const [first] = acquired.files;
  if (!acquired.folder && first !== undefined) return first.path;
  return wanted.graphPath ?? 'model.onnx';
}

/** Anonymous memory in bytes of a server with two workers and a tiny model. Measured: 95 MiB. */
const floorBytes = 96 * 2 ** 20;

/**
 * Refuses a model if its weights and an empty server (`floorBytes`) exceed the memory limit, before the kernel kills
 * the container. A model that passes may still need too much memory when it is loaded: optimise/trial.ts measures this.
 *
 * @throws MODEL_TOO_LARGE
 */
export function checkFits(file: string, info: Pick<ModelInfo, 'weightsBytes'>, limitBytes: number | undefined): void {
  if (limitBytes === undefined || info.weightsBytes + floorBytes <= limitBytes) return;
  // The recommended limit includes the memory for loading, because a limit with room for the weights only would be
  // refused later.
  const needBytes = sufficientLimit(floorBytes, guessedLoadBytes(info.weightsBytes), 0);
  throw new AppError('MODEL_TOO_LARGE', { file, needBytes, limitBytes });
}
