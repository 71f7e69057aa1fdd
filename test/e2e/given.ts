/** What a story begins with. */
import assert from 'node:assert/strict';
import type { OnnxModelSpec } from '../../api/onnxmodel.ts';
import { claimName } from './target.ts';
import type { Stage } from './stage.ts';
import { Then } from './then.ts';

/** A small model of tensors that every machine can serve. Fields of `change` replace these. */
export function smallSpec(change: Partial<OnnxModelSpec> = {}): OnnxModelSpec {
  return {
    model: { uri: `pvc://${claimName}/linear/` },
    memory: { limit: '320Mi' },
    resources: { requests: { cpu: '50m' }, limits: { cpu: '1' } },
    warmup: { requests: 2 },
    replicas: 1,
    ...change,
  };
}

/** The embedding model of the examples, as examples/minilm.yaml has it. */
export function miniLmSpec(): OnnxModelSpec {
  return smallSpec({
    model: { uri: `pvc://${claimName}/minilm/`, task: 'Embedding', embedding: { pooling: 'None', normalize: true, maxTokens: 256, onTooLong: 'Truncate' } },
    memory: { limit: '768Mi' },
  });
}

export class Given {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** A model that is ready. */
  async servingModel(name: string, spec: OnnxModelSpec = smallSpec()): Promise<void> {
    await this.#stage.apply(name, spec);
    await new Then(this.#stage).isReady(name);
    assert.ok(this.#stage.stable.get(name), `${name} has no stable revision`);
  }
}
