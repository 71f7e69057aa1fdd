/**
 * The versions of ONNX that the engine supports, determined by loading a model of each version in ONNX Runtime 1.30.
 *
 * Owns:   the numbers, and the message about a file that exceeds them. A test checks the numbers against the engine.
 * Pure.
 */
import { ownValue } from '../../api/record.ts';

export const engineName = 'ONNX Runtime 1.30';
export const maxIrVersion = 13;
/**
 * The newest supported version of each operator set, by domain. Operator sets of other domains are accepted here; ONNX
 * Runtime refuses their operators when it loads the model.
 */
export const maxOpsets: Readonly<Record<string, number>> = {
  'ai.onnx': 26,
  'ai.onnx.ml': 5,
  'ai.onnx.training': 1,
  'ai.onnx.preview.training': 1,
  'com.microsoft': 1,
};

/**
 * @returns a message with the version that is too new, the newest supported version and what to do; undefined if all
 * versions are supported
 */
export function tooNew(irVersion: number, opsets: Readonly<Record<string, number>>): string | undefined {
  if (irVersion > maxIrVersion)
    return (
      `its IR version is ${irVersion}, but ${engineName} supports at most ${maxIrVersion}: export it with an older ` +
      'version of the onnx package'
    );
  for (const [domain, version] of Object.entries(opsets)) {
    const most = ownValue(maxOpsets, domain) ?? Infinity;
    if (version > most)
      return (
        `it uses version ${version} of the operator set ${domain}, but ${engineName} supports at most ${most}: ` +
        'export it with an older operator set (opset_version)'
      );
  }
  return undefined;
}
