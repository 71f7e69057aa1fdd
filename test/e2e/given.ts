/** The steps that set up a story, which is an end-to-end test of one task of a user. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { OnnxModelSpec } from '../../api/onnxmodel.ts';
import { claimName } from './target.ts';
import { eventually, isTrue } from './cluster-api.ts';
import { patienceMs, type Stage } from './stage.ts';
import { Then } from './then.ts';

/** The spec of a small tensor model that every machine can serve; the fields of `change` replace the defaults. */
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

/** The spec of a manifest in examples/, unchanged. */
export async function exampleSpec(file: string): Promise<OnnxModelSpec> {
  const manifest = parse(await readFile(new URL(`../../examples/${file}`, import.meta.url), 'utf8')) as {
    readonly spec: OnnxModelSpec;
  };
  return manifest.spec;
}

export class Given {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** Creates a Gateway for HTTP on port 8080 and waits until it accepts requests. */
  async gateway(name: string): Promise<void> {
    const { world, namespace } = this.#stage;
    const named = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'Gateway', namespace, name };
    await world.api.apply({
      apiVersion: named.apiVersion,
      kind: named.kind,
      metadata: { namespace, name },
      spec: { gatewayClassName: world.gatewayClass, listeners: [{ name: 'http', port: 8080, protocol: 'HTTP' }] },
    });
    await eventually(
      `Gateway ${name} programmed`,
      patienceMs,
      async () => (isTrue(await world.api.get(named), 'Programmed') ? true : undefined),
      () => world.lastLines(),
    );
  }

  /** Applies a model and waits until it is ready. */
  async servingModel(name: string, spec: OnnxModelSpec = smallSpec()): Promise<void> {
    await this.#stage.apply(name, spec);
    await new Then(this.#stage).isReady(name);
    assert.ok(this.#stage.stable.get(name), `${name} has no stable revision`);
  }
}
