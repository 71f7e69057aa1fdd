/**
 * OpenAI's `GET /v1/models` and `GET /v1/models/NAME`: what clients ask to learn a model's name.
 *
 * Owns:   the bodies of the answers.
 * Pure.
 * Source: OpenAI's OpenAPI description of the models endpoints.
 */

export type ServedName = {
  readonly name: string;
  /** Unix time in seconds at which this server began to serve it. */
  readonly createdSeconds: number;
};

export function openAiModel({ name, createdSeconds }: ServedName) {
  return { id: name, object: 'model', created: createdSeconds, owned_by: 'onnx-operator' };
}

export function openAiModels(served: ServedName) {
  return { object: 'list', data: [openAiModel(served)] };
}
