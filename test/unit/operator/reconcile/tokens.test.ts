/**
 * A revision keeps its token (the secret that sidecars need to get users' requests from its pods) even if the caches do
 * not contain the token's object, and only pods of the revision can read the token.
 */
import assert from 'node:assert/strict';
import { isToken, parseAccess } from '../../../../api/access.ts';
import { paths } from '../../../../api/names.ts';
import type { OnnxModelSpec } from '../../../../api/onnxmodel.ts';
import type { Logger } from '../../../../lib/log.ts';
import type { ConfigMap } from '../../../../kube/kinds.ts';
import { observe } from '../../../../operator/see/observe.ts';
import type { Caches } from '../../../../operator/see/seen.ts';
import type { Reconciler } from '../../../../operator/reconcile/reconcile.ts';
import { Tokens } from '../../../../operator/reconcile/tokens.ts';
import { FakeCluster } from '../../../support/fake-cluster.ts';
import { operatorOf, operatorSettings } from '../../../support/operator-of.ts';
import { given } from '../../../support/given.ts';
import { HandClock } from '../../../support/hand-clock.ts';

const quality = { sampleRate: '5%', metric: 'Cosine', min: '0.98' } as const;

class Stage {
  readonly clock = new HandClock();
  readonly cluster = new FakeCluster(this.clock);
  /** All log lines and Events of the operator. */
  readonly said: unknown[] = [];
  /** Whether the caches lack all ConfigMaps and ControllerRevisions. */
  isBehind = false;
  #operator = this.begin();

  constructor(spec: Partial<OnnxModelSpec> = {}) {
    this.cluster.put(given.spec(spec));
  }

  begin(): Reconciler {
    const note = (...what: unknown[]): void => void this.said.push(what);
    const logger = { debug: note, info: note, warn: note, error: note, child: () => logger } as unknown as Logger;
    const caches: Caches = {
      ...this.cluster.caches,
      configMaps: () => (this.isBehind ? [] : this.cluster.caches.configMaps('ml/ranker')),
      controllerRevisions: () => (this.isBehind ? [] : this.cluster.caches.controllerRevisions('ml/ranker')),
    };
    return operatorOf(this.cluster, { caches, reports: () => undefined, logger, announce: note });
  }

  restart(): void {
    this.#operator = this.begin();
  }

  async pass(): Promise<void> {
    await this.#operator.reconcile('ml/ranker');
    this.cluster.tick();
    await this.clock.advance(1_000);
  }

  get configMap(): ConfigMap {
    return this.cluster.of<ConfigMap>('ConfigMap')[0] ?? assert.fail('no ConfigMap');
  }

  get access() {
    return parseAccess(this.configMap.data?.[paths.accessFile] ?? '');
  }

  get configMapWrites(): number {
    return this.cluster.writes.filter((what) => what.startsWith('apply ConfigMap/')).length;
  }

  change(data: Readonly<Record<string, string>>): void {
    const { configMap } = this;
    this.cluster.objects.set(`ConfigMap/${configMap.metadata.name}`, {
      ...configMap,
      data,
      metadata: { ...configMap.metadata, resourceVersion: '1000000' },
    } as never);
  }
}

describe('the token of a revision', () => {
  it('is 256 random bits in the ConfigMap, written once', async () => {
    const stage = new Stage();
    for (let pass = 0; pass < 4; pass += 1) await stage.pass();
    const token = stage.access?.token;
    assert.ok(isToken(token));
    assert.equal(stage.configMapWrites, 1);
    const other = new Stage();
    await other.pass();
    assert.notEqual(other.access?.token, token);
  });

  it('does not change while the caches do not show it yet', async () => {
    const stage = new Stage();
    stage.isBehind = true;
    await stage.pass();
    const token = stage.access?.token;
    for (let pass = 0; pass < 8; pass += 1) await stage.pass();
    assert.equal(stage.access?.token, token);
  });

  it('does not change when another process takes over', async () => {
    const stage = new Stage();
    await stage.pass();
    const token = stage.access?.token;
    stage.restart();
    for (let pass = 0; pass < 3; pass += 1) await stage.pass();
    assert.deepEqual([stage.access?.token, stage.configMapWrites], [token, 1]);
  });

  it('is restored after another writer removed it, and replaced when it is invalid', async () => {
    const stage = new Stage();
    await stage.pass();
    const { [paths.accessFile]: access = '', ...rest } = stage.configMap.data ?? {};
    stage.change(rest);
    await stage.clock.advance(6_000);
    await stage.pass();
    assert.equal(stage.configMap.data?.[paths.accessFile], access);
    stage.change({ ...rest, [paths.accessFile]: '{"schema":1,"token":""}' });
    stage.restart();
    await stage.pass();
    assert.ok(isToken(stage.access?.token));
  });

  it('is added to a revision of an earlier operator without a change of its config', async () => {
    const stage = new Stage();
    await stage.pass();
    const { [paths.accessFile]: _, ...old } = stage.configMap.data ?? {};
    stage.change(old);
    stage.cluster.writes.length = 0;
    stage.restart();
    await stage.pass();
    const { [paths.accessFile]: access, ...now } = stage.configMap.data ?? {};
    assert.deepEqual(now, old);
    assert.ok(isToken(parseAccess(access ?? '')?.token));
    assert.deepEqual(
      stage.cluster.writes.filter((what) => what.startsWith('apply ')),
      [`apply ConfigMap/${stage.configMap.metadata.name}`],
    );
  });

  it('permits sampling only for a quality gate or a shadow step, at the larger of their rates', async () => {
    const stage = new Stage();
    await stage.pass();
    assert.equal(stage.access?.sampleRate, undefined);
    stage.cluster.put(given.spec({ rollout: { gates: { quality } } }));
    await stage.pass();
    assert.equal(stage.access?.sampleRate, 0.05);
    stage.cluster.put(given.spec());
    await stage.pass();
    assert.equal(stage.access?.sampleRate, undefined);
    const steps = [{ shadow: { require: 'Pass' } }, { weight: 5 }] as const;
    for (const [rollout, rate] of [
      [{ steps }, 0.1],
      [{ steps, gates: { quality } }, 0.1],
      [{ steps: [{ shadow: { require: 'Pass', share: '2%' } }], gates: { quality } }, 0.05],
      [{ probes: { mode: 'Always' } }, undefined],
    ] as const) {
      stage.cluster.put(given.spec({ rollout: { strategy: 'Canary', ...rollout } }));
      await stage.pass();
      assert.equal(stage.access?.sampleRate, rate);
    }
  });

  it('does not appear in the status, Events or logs', async () => {
    const stage = new Stage({ rollout: { gates: { quality } } });
    stage.cluster.beforeWrite = (what) => {
      if (what.startsWith('apply Deployment/')) throw new Error('admission webhook "x" denied the request');
    };
    await stage.pass().catch((error: unknown) => stage.said.push(String(error)));
    stage.cluster.beforeWrite = () => {};
    for (let pass = 0; pass < 30; pass += 1) await stage.pass();
    const token = stage.access?.token ?? assert.fail('no token');
    const elsewhere = [...stage.cluster.objects.values()].filter(({ kind }) => kind !== 'ConfigMap');
    assert.ok(elsewhere.length > 4);
    assert.ok(!JSON.stringify([stage.said, elsewhere]).includes(token));
  });
});

describe('Tokens', () => {
  it('forgets the tokens of a deleted model', () => {
    let made = 0;
    const tokens = new Tokens(() => String((made += 1)));
    const stage = new Stage();
    const seen = observe('ml/ranker', stage.cluster.caches, operatorSettings) ?? assert.fail('no model');
    assert.deepEqual(tokens.of('ml/ranker', seen), tokens.of('ml/ranker', seen));
    tokens.forget('ml/ranker');
    assert.deepEqual([...tokens.of('ml/ranker', seen).values()], ['2']);
  });
});
