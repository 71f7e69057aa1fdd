/**
 * Which versions of ONNX the engine takes: ONNX Runtime 1.30's own numbers, asked of it one by one.
 *
 * Owns:   the numbers and the sentence about a file that is beyond them. A test holds them against the engine.
 * Pure.
 */
import { ownValue } from '../../api/record.ts';

export const engineName = 'ONNX Runtime 1.30';
export const maxIrVersion = 13;
/** By domain; an operator set of any other domain is taken, and its operators are refused when they are loaded. */
export const maxOpsets: Readonly<Record<string, number>> = {
  'ai.onnx': 26,
  'ai.onnx.ml': 5,
  'ai.onnx.training': 1,
  'ai.onnx.preview.training': 1,
  'com.microsoft': 1,
};

/** @returns what is too new, with what is supported and what to do; undefined when nothing is */
export function tooNew(irVersion: number, opsets: Readonly<Record<string, number>>): string | undefined {
  if (irVersion > maxIrVersion)
    return (
      `its IR version is ${irVersion}, ${engineName} takes up to ${maxIrVersion}: export it with an older version ` +
      'of the onnx package'
    );
  for (const [domain, version] of Object.entries(opsets)) {
    const most = ownValue(maxOpsets, domain) ?? Infinity;
    if (version > most)
      return (
        `it uses version ${version} of the operator set ${domain}, ${engineName} takes up to ${most}: export it ` +
        'with an older operator set (opset_version)'
      );
  }
  return undefined;
}
