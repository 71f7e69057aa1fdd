/**
 * OpenAI's `GET /v1/models` and `GET /v1/models/NAME`, from which clients learn a model's name.
 *
 * Owns:   the bodies of the answers, after OpenAI's OpenAPI description of the models endpoints.
 * Pure.
 */

export type ServedName = {
  readonly name: string;
  /** Unix time in seconds at which this server started serving the model. */
  readonly createdSeconds: number;
};

export function openAiModel({ name, createdSeconds }: ServedName) {
  return { id: name, object: 'model', created: createdSeconds, owned_by: 'onnx-operator' };
}

export function openAiModels(served: ServedName) {
  return { object: 'list', data: [openAiModel(served)] };
}
