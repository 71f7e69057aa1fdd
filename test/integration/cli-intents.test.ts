/**
 * The commands of `kubectl-onnx` that change a rollout, from `promote` to `undo`, against local mode's API server. The
 * test plays the operator.
 */
import assert from 'node:assert/strict';
import type { Claim } from '../../api/conditions.ts';
import { labels } from '../../api/names.ts';
import type { OnnxModel, OnnxModelStatus } from '../../api/onnxmodel.ts';
import { intend, type VerbName } from '../../cli/commands/intend.ts';
import { undo } from '../../cli/commands/undo.ts';
import type { NewObject } from '../../local/objects.ts';
import { eventually } from '../support/eventually.ts';
import { ModelApi, models } from '../support/model-api.ts';

const [A, B, C] = ['aaaaaaaaaa', 'bbbbbbbbbb', 'cccccccccc'];
const ready: readonly Claim[] = [{ type: 'Ready', status: 'True', reason: 'UpToDate', message: 'it serves' }];
const busy: readonly Claim[] = [{ type: 'Ready', status: 'False', reason: 'Analyzing', message: 'it is judged' }];
const stalled: readonly Claim[] = [
  ...busy,
  { type: 'Stalled', status: 'True', reason: 'LatencyGateFailed', message: 'too slow' },
];
const underWay: Partial<OnnxModelStatus> = {
  stable: { revision: A },
  candidate: { revision: B },
  rollout: { phase: 'Analyzing', step: 1 },
};

describe('kubectl-onnx intents', () => {
  let api: ModelApi;
  before(async () => (api = await ModelApi.start('ml', 'whole')));
  after(() => api.close());
  let count = 0;
  function newModel(status: Partial<OnnxModelStatus> = underWay, claims: readonly Claim[] = busy): string {
    const name = `m${(count += 1)}`;
    api.create('ml', name);
    api.say('ml', name, { ...status, claims });
    return name;
  }
  const model = (name: string): OnnxModel => api.get('ml', name) as unknown as OnnxModel;
  const rollout = (name: string): OnnxModel['spec']['rollout'] => model(name).spec.rollout;
  const managers = (name: string): readonly string[] =>
    (api.get('ml', name).metadata as { managedFields?: readonly { readonly manager: string }[] }).managedFields?.map(
      ({ manager }) => manager,
    ) ?? [];
  /**
   * Writes the model's last status again, for the current generation. The fields of `more` replace fields of that
   * status.
   */
  const sayAgain = (name: string, more: Partial<OnnxModelStatus>, claims: readonly Claim[]): void => {
    const { observedGeneration: _old, ...status } = model(name).status ?? { observedGeneration: -1 };
    api.say('ml', name, { ...status, ...more, claims });
  };

  type Ran = { readonly code: Promise<number>; readonly text: () => string };
  function start(command: VerbName | 'undo', ...argv: readonly string[]): Ran {
    let text = '';
    const main = command === 'undo' ? undo : intend(command);
    const code = main(
      [...argv, '--kubeconfig', api.kubeconfig, '-n', 'ml'],
      (piece) => (text += piece),
      new AbortController().signal,
    );
    code.catch(() => {});
    return { code, text: () => text };
  }
  async function ran(command: VerbName | 'undo', ...argv: readonly string[]): Promise<string> {
    const { code, text } = start(command, ...argv);
    assert.equal(await code, 0);
    return text();
  }

  it('promote names the candidate, with its own field manager', async () => {
    const name = newModel();
    assert.equal(
      await ran('promote', name),
      `ml/${name}: promote: ${B} gets all the traffic as soon as its pods can carry it; the remaining checks and ` +
        `gates are skipped\n`,
    );
    assert.deepEqual(rollout(name), { promoteRevision: B });
    assert.ok(managers(name).includes('onnx-cli'));
    api.say('ml', name, { ...underWay, claims: busy });
    assert.match(await ran('promote', name), /promote \(nothing to do\): the promotion of bbbbbbbbbb is already/);
  });

  it('promote removes a handled request and writes it again', async () => {
    const name = newModel();
    await ran('promote', name);
    sayAgain(name, { rollout: { phase: 'Analyzing', step: 1, handledPromoteRevision: B } }, busy);
    const promotion = start('promote', name);
    await eventually('the request is removed', () => rollout(name)?.promoteRevision === undefined);
    sayAgain(name, { rollout: { phase: 'Analyzing', step: 1 } }, busy);
    assert.equal(await promotion.code, 0);
    assert.deepEqual(rollout(name), { promoteRevision: B });
  });

  it('abort removes the promotion in the same write', async () => {
    const name = newModel();
    await ran('promote', name);
    api.say('ml', name, { ...underWay, claims: busy });
    const before = model(name).metadata.generation;
    await ran('abort', name, '--revision', B);
    assert.deepEqual(rollout(name), { abortRevision: B });
    assert.equal(model(name).metadata.generation, before + 1);
  });

  it('retry removes the abort and changes the token, even within a second', async () => {
    const name = newModel({ ...underWay, rollout: { phase: 'Failed' } }, stalled);
    api.changeSpec('ml', name, { rollout: { abortRevision: B } });
    api.say('ml', name, { ...underWay, rollout: { phase: 'Failed' }, claims: stalled });
    await ran('retry', name);
    const first = rollout(name)?.retryToken;
    assert.deepEqual(Object.keys(rollout(name) ?? {}), ['retryToken']);
    api.say('ml', name, { ...underWay, rollout: { phase: 'Failed' }, claims: stalled });
    await ran('retry', name);
    assert.notEqual(rollout(name)?.retryToken, first);
  });

  it('pause and resume change only their own field of the rollout', async () => {
    const name = newModel();
    api.changeSpec('ml', name, { rollout: { progressDeadline: '5m' } });
    await ran('pause', name);
    assert.deepEqual(rollout(name), { progressDeadline: '5m', paused: true });
    api.say('ml', name, { ...underWay, claims: busy });
    await ran('resume', name);
    assert.deepEqual(rollout(name), { progressDeadline: '5m' });
    api.say('ml', name, { ...underWay, rollout: { phase: 'Paused', step: 2, pausedReason: 'Step' }, claims: busy });
    await ran('resume', name);
    assert.equal(rollout(name)?.resumeStep, `${B}/2`);
  });

  it('warns when another manager applies the field', async () => {
    const name = newModel();
    const object = api.get('ml', name);
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '{"spec":{"rollout":{"paused":true}}}' };
    api.server.objects.update(models, {
      ...object,
      metadata: { ...object.metadata, annotations },
      spec: { ...(object['spec'] as object), rollout: { paused: true } },
    });
    api.say('ml', name, { ...underWay, claims: busy });
    assert.match(
      await ran('resume', name),
      /^warning: spec\.rollout\.paused is also set in the manifest of kubectl apply, which will restore its own value/,
    );
    assert.equal(rollout(name)?.paused, undefined);
  });

  it('reads and writes again after a conflict', async () => {
    const name = newModel();
    let left = 2;
    const off = api.server.faults.add({
      kind: 'refuse',
      code: 409,
      reason: 'Conflict',
      matches: ({ method }) => method === 'PATCH' && (left -= 1) >= 0,
    });
    await ran('abort', name);
    off();
    assert.equal(rollout(name)?.abortRevision, B);
    assert.ok(left < 0);
  });

  it('fails after six conflicts', async () => {
    const name = newModel();
    const off = api.server.faults.add({
      kind: 'refuse',
      code: 409,
      reason: 'Conflict',
      message: 'modified',
      matches: ({ method }) => method === 'PATCH',
    });
    await assert.rejects(start('pause', name).code, { code: 'KUBE_STATUS', kind: 'conflict' });
    off();
  });

  it('waits until the operator has observed the current spec before it decides', async () => {
    const name = newModel({ stable: { revision: A }, rollout: { phase: 'Stable' } }, ready);
    api.changeSpec('ml', name, { replicas: 4 });
    const { code } = start('abort', name);
    await eventually('it watches', () => api.server.faults.openWatches === 1);
    api.say('ml', name, { ...underWay, claims: busy });
    assert.equal(await code, 0);
    assert.equal(rollout(name)?.abortRevision, B);
  });

  it('retry waits until the traffic has moved back to stable', async () => {
    const name = newModel({ ...underWay, rollout: { phase: 'Aborting' } });
    const { code } = start('retry', name);
    await eventually('it watches', () => api.server.faults.openWatches === 1);
    assert.equal(rollout(name)?.retryToken, undefined);
    api.say('ml', name, { ...underWay, rollout: { phase: 'Failed' }, claims: stalled });
    assert.equal(await code, 0);
    assert.notEqual(rollout(name)?.retryToken, undefined);
  });

  it('is refused with a reason', async () => {
    const name = newModel({ stable: { revision: A }, rollout: { phase: 'Stable' } }, ready);
    await assert.rejects(start('promote', name).code, {
      code: 'INTENT_REFUSED',
      kind: 'invalid',
      message: `ml/${name}: promote refused: no rollout is in progress: ${A} serves`,
    });
    await assert.rejects(start('abort', 'absent').code, { kind: 'missing' });
    await assert.rejects(start('pause', name, '--wait').code, {
      code: 'BAD_FLAG',
      message: /--wait: not available for "pause"/,
    });
    await assert.rejects(start('pause', name, '--revision', B).code, {
      code: 'BAD_FLAG',
      message: /--revision: not available for this command/,
    });
    await assert.rejects(start('pause', name, 'other').code, {
      code: 'BAD_FLAG',
      message: /give the name of one OnnxModel/,
    });
    await assert.rejects(start('retry', name, '--timeout', '1m').code, {
      code: 'BAD_FLAG',
      message: /--timeout: requires --wait/,
    });
  });

  it('prints its help', async () => assert.match(await ran('pin', '--help'), /^Usage: kubectl-onnx pin NAME REVISION/));

  for (const { claims, code: wanted } of [
    { claims: ready, code: 0 },
    { claims: stalled, code: 1 },
  ]) {
    it(`with --wait exits with ${wanted} for the new status, and ignores the old one`, async () => {
      const name = newModel({ ...underWay, rollout: { phase: 'Failed' } }, stalled);
      const { code, text } = start('retry', name, '--wait', '--timeout', '10s');
      await eventually('it waits', () => text().includes('NotObserved'));
      api.say('ml', name, { ...underWay, claims });
      assert.equal(await code, wanted);
    });
  }

  describe('on revisions of the history', () => {
    const uri = (revision: string): string => `https://models.example/${revision}.onnx`;
    function remember(
      name: string,
      revision: string,
      generation: number,
      written: object = { model: { uri: uri(revision) } },
    ): void {
      const object = {
        apiVersion: 'apps/v1',
        kind: 'ControllerRevision',
        metadata: {
          name: `${name}-${revision}`,
          namespace: 'ml',
          labels: { [labels.model]: name, [labels.revision]: revision },
        },
        revision: generation,
        data: { schema: 1, written, spec: {}, template: {} },
      };
      api.server.objects.create(
        { apiVersion: 'apps/v1', plural: 'controllerrevisions' },
        object as unknown as NewObject,
      );
    }
    /** A model whose history has three rollouts: A was promoted, then B was promoted, then C was given up. */
    function withHistory(): string {
      const name = newModel();
      remember(name, A, 1, { model: { uri: uri(A) }, execution: { precision: 'Source' } });
      remember(name, B, 2);
      remember(name, C, 3);
      api.changeSpec('ml', name, {
        model: { uri: uri(C), digest: `sha256:${'0'.repeat(64)}` },
        rollout: { progressDeadline: '5m' },
      });
      const history = [
        { revision: C, outcome: 'Failed' as const, reason: 'OOMKilled', at: '2026-01-03T00:00:00Z' },
        { revision: B, outcome: 'Promoted' as const, reason: 'Promoted', at: '2026-01-02T00:00:00Z' },
        { revision: A, outcome: 'Promoted' as const, reason: 'Promoted', at: '2026-01-01T00:00:00Z' },
      ];
      api.say('ml', name, {
        stable: { revision: B },
        candidate: { revision: C },
        rollout: { phase: 'Failed' },
        history,
        claims: stalled,
      });
      return name;
    }

    it('pin accepts a prefix of a revision', async () => {
      const name = withHistory();
      await ran('pin', name, 'aaaa');
      assert.equal(rollout(name)?.pinRevision, A);
      await ran('unpin', name);
      assert.deepEqual(rollout(name), { progressDeadline: '5m' });
    });

    it('pin of an unknown revision is refused, with the revisions of the history', async () => {
      const name = withHistory();
      await assert.rejects(start('pin', name, 'dddd').code, {
        code: 'BAD_FLAG',
        message:
          /REVISION: revision dddd is not in the history; revisions in the history: cccccccccc, bbbbbbbbbb, aaaaaaaaaa/,
      });
      await assert.rejects(start('pin', name, 'a').code, {
        code: 'BAD_FLAG',
        message: /'a' is not a revision \(four to ten hex digits\)/,
      });
      await assert.rejects(start('pin', name).code, { code: 'BAD_FLAG', message: /REVISION: missing/ });
    });

    it('undo restores the last promoted spec exactly, and shows the changes', async () => {
      const name = withHistory();
      const text = await ran('undo', name);
      assert.equal(
        text,
        [
          `back to ${B}, the spec of generation 2:`,
          `  - spec.model.digest: "sha256:${'0'.repeat(64)}"`,
          `  - spec.model.uri: "${uri(C)}"`,
          `  + spec.model.uri: "${uri(B)}"`,
          `ml/${name}: undo: written`,
          '',
        ].join('\n'),
      );
      assert.deepEqual(model(name).spec, {
        model: { uri: uri(B) },
        replicas: 2,
        revisionHistoryLimit: 5,
        rollout: { progressDeadline: '5m' },
      });
      assert.ok(!managers(name).includes('onnx-cli'), 'the manager that applies the manifest owns the fields');
    });

    it('undo from a promoted revision restores the revision before it', async () => {
      const name = withHistory();
      await ran('undo', name);
      sayAgain(name, { stable: { revision: B }, rollout: { phase: 'Stable' } }, ready);
      assert.match(await ran('undo', name), /^back to aaaaaaaaaa, the spec of generation 1:\n {2}\+ spec\.execution: /);
      assert.deepEqual(model(name).spec.execution, { precision: 'Source' });
    });

    it('undo to a forced revision says that checks and gates judge it', async () => {
      const name = withHistory();
      sayAgain(
        name,
        { stable: { revision: B, provenance: 'Forced' }, rollout: { phase: 'Failed' }, candidate: { revision: C } },
        ready,
      );
      assert.match(
        await ran('undo', name, '--to', B, '--dry-run'),
        /warning: bbbbbbbbbb is not proven \(Forced\): the checks and gates of the spec judge it/,
      );
    });

    it('undo --dry-run writes nothing', async () => {
      const name = withHistory();
      const { generation } = model(name).metadata;
      assert.match(
        await ran('undo', name, '--to', 'aaaaaaaaaa', '--dry-run'),
        /back to aaaaaaaaaa.*undo: not written \(--dry-run\)\n$/s,
      );
      assert.equal(model(name).metadata.generation, generation);
    });

    it('undo warns about GitOps tools and pins', async () => {
      const name = withHistory();
      const object = api.get('ml', name);
      api.server.objects.update(models, {
        ...object,
        metadata: { ...object.metadata, annotations: { 'argocd.argoproj.io/tracking-id': 'ml:OnnxModel' } },
        spec: { ...(object['spec'] as object), rollout: { pinRevision: A } },
      });
      sayAgain(name, {}, stalled);
      const text = await ran('undo', name, '--dry-run');
      assert.match(
        text,
        new RegExp(
          String.raw`warning: Argo CD \(annotation argocd\.argoproj\.io\/tracking-id\) manages this ` +
            'model and will restore the spec of its source',
        ),
      );
      assert.match(
        text,
        /warning: spec\.rollout\.pinRevision names aaaaaaaaaa: the restored spec takes effect after "unpin"/,
      );
    });

    it('undo without an earlier promotion lists the revisions of the history', async () => {
      const name = newModel();
      await assert.rejects(start('undo', name).code, {
        code: 'INTENT_REFUSED',
        message: /the history has no older revision/,
      });
      remember(name, C, 3);
      await assert.rejects(start('undo', name).code, {
        code: 'INTENT_REFUSED',
        message: /choose a revision with --to: cccccccccc/,
      });
    });

    it('undo to the current spec writes nothing', async () => {
      const name = withHistory();
      await ran('undo', name, '--to', B);
      assert.match(
        await ran('undo', name, '--to', B),
        /the spec already equals the spec of bbbbbbbbbb\n.*nothing to do/,
      );
    });
  });
});
