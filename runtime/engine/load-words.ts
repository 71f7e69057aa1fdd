/**
 * ONNX Runtime's words about a model that it cannot load, for people who did not write it.
 *
 * Owns:   leaving out the lines of its own source code, and saying what the commonest sentences mean here.
 * Pure.
 */
import { engineName } from '../onnx/supported.ts';

type Sentence = { readonly said: RegExp; readonly means: (...parts: string[]) => string };

/** Of ONNX Runtime 1.30. The first that fits counts. */
const sentences: readonly Sentence[] = [
  {
    said: /Protobuf parsing failed/i,
    means: () => 'the file is damaged: its protobuf cannot be parsed. Fetch or export it again',
  },
  {
    said: /No Op registered for (\S+) with domain_version of (\d+)/,
    means: (op, version) =>
      `operator ${op} does not exist in version ${version} of its operator set: export it with another one`,
  },
  {
    said: /Op registered for (\S+) is deprecated in domain_version of (\d+)/,
    means: (op, version) =>
      `operator ${op} is deprecated in version ${version} of its operator set: export it with an older one`,
  },
  {
    said: /(\S+?):(\S+?)\(-?\d+\) is not a registered function\/op/,
    means: (domain, op) =>
      `operator ${domain}.${op} is not one that ${engineName} has: custom operators cannot be served`,
  },
  {
    said: /No opset import for domain '(.*?)'/,
    means: (domain) => `a node uses the domain '${domain}', and the file does not import an operator set of it`,
  },
  {
    said: /Could not find an implementation for (\S+?)\((\d+)\) node with name '(.*?)'/,
    means: (op, version, node) =>
      `operator ${op} (version ${version}) of node '${node}' has no implementation for its types on this ` +
      'execution provider: add a Cast, or use another precision',
  },
];

/** A sentence is shorter; what a file calls its nodes may not be. */
const maxLength = 8192;

/** @param message as the binding throws it. @returns one line */
export function loadWords(message: string): string {
  const plain = withoutSource(message.slice(0, maxLength));
  for (const { said, means } of sentences) {
    const parts = said.exec(plain);
    if (parts !== null) return means(...parts.slice(1));
  }
  return plain;
}

/** Source paths, C++ signatures and the list of a node's types say nothing about the model. */
function withoutSource(message: string): string {
  return message
    .replace(/^Load model from .*? failed: ?/s, '')
    .replace(/^Exception during (?:initialization|loading): ?/, '')
    .replace(/\/onnxruntime_src\/\S+ .*? was false\. ?/gs, '')
    .replace(/\/onnxruntime_src\/\S+:\d+ [^()]*(?:\([^()]*\)[^()]*)*?\((?:[^()]|\([^()]*\))*\)(?: const)? /g, '')
    .replace(/^This is an invalid model\. (?:Error: )?/, '')
    .replace(/In Node, \("(.*?)", (\S+?), .*? , Error /s, (_, node: string, op: string) => `node '${node}' (${op}): `)
    .replace(/\s+/g, ' ')
    .trim();
}
