/**
 * Rewrites ONNX Runtime's error messages about a model that it cannot load, for the model's users.
 *
 * Owns:   removing ONNX Runtime's source locations, and explaining its most common messages.
 * Pure.
 */
import { engineName } from '../onnx/supported.ts';

type Sentence = { readonly said: RegExp; readonly means: (...parts: string[]) => string };

/** Messages of ONNX Runtime 1.30. The first pattern that matches is used. */
const sentences: readonly Sentence[] = [
  {
    said: /Protobuf parsing failed/i,
    means: () => 'the file is damaged: its protobuf cannot be parsed. Download or export it again',
  },
  {
    said: /No Op registered for (\S+) with domain_version of (\d+)/,
    means: (op, version) =>
      `operator ${op} does not exist in version ${version} of its operator set: export the model with another version`,
  },
  {
    said: /Op registered for (\S+) is deprecated in domain_version of (\d+)/,
    means: (op, version) =>
      `operator ${op} is deprecated in version ${version} of its operator set: export the model with an older version`,
  },
  {
    said: /(\S+?):(\S+?)\(-?\d+\) is not a registered function\/op/,
    means: (domain, op) => `${engineName} does not have operator ${domain}.${op}: custom operators cannot be served`,
  },
  {
    said: /No opset import for domain '(.*?)'/,
    means: (domain) =>
      `a node uses the domain '${domain}', but the file does not import an operator set of that domain`,
  },
  {
    said: /Could not find an implementation for (\S+?)\((\d+)\) node with name '(.*?)'/,
    means: (op, version, node) =>
      `operator ${op} (version ${version}) of node '${node}' has no implementation for its types on this ` +
      'execution provider: add a Cast, or use another precision',
  },
];

/**
 * Number of characters of a message that are read. Messages contain node names of the file, which can have any length.
 */
const maxLength = 8192;

/**
 * @param message as the binding throws it
 * @returns one line
 */
export function loadWords(message: string): string {
  const plain = withoutSource(message.slice(0, maxLength));
  for (const { said, means } of sentences) {
    const parts = said.exec(plain);
    if (parts !== null) return means(...parts.slice(1));
  }
  return plain;
}

/** Removes source paths, C++ signatures and lists of node types: they do not describe the model. */
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
