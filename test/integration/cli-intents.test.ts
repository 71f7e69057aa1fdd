/** `kubectl-onnx promote` to `undo` against local mode's API server; the test plays the operator. */
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
  /** What was said, again, of the spec as it is now. */
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

  it('promote names the candidate, under a field manager of its own', async () => {
    const name = newModel();
    assert.equal(
      await ran('promote', name),
      `ml/${name}: promote: ${B} gets all the traffic as soon as its pods can carry it; checks and gates that are ` +
        `left are skipped\n`,
    );
    assert.deepEqual(rollout(name), { promoteRevision: B });
    assert.ok(managers(name).includes('onnx-cli'));
    api.say('ml', name, { ...underWay, claims: busy });
    assert.match(await ran('promote', name), /promote \(nothing to do\): bbbbbbbbbb is to be promoted already/);
  });

  it('promote says it anew where the same request had its effect before', async () => {
    const name = newModel();
    await ran('promote', name);
    sayAgain(name, { rollout: { phase: 'Analyzing', step: 1, handledPromoteRevision: B } }, busy);
    const promotion = start('promote', name);
    await eventually('the request to be taken out', () => rollout(name)?.promoteRevision === undefined);
    sayAgain(name, { rollout: { phase: 'Analyzing', step: 1 } }, busy);
    assert.equal(await promotion.code, 0);
    assert.deepEqual(rollout(name), { promoteRevision: B });
  });

  it('abort takes the promotion back in the same write', async () => {
    const name = newModel();
    await ran('promote', name);
    api.say('ml', name, { ...underWay, claims: busy });
    const before = model(name).metadata.generation;
    await ran('abort', name, '--revision', B);
    assert.deepEqual(rollout(name), { abortRevision: B });
    assert.equal(model(name).metadata.generation, before + 1);
  });

  it('retry takes the abort back and changes the token, however soon after the last', async () => {
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

  it('pause and resume come and go, and leave the rest of the rollout alone', async () => {
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

  it('warns when the field is in a manifest that others apply', async () => {
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
      /^warning: spec\.rollout\.paused is in the manifest that kubectl apply keeps, which will put its own value back/,
    );
    assert.equal(rollout(name)?.paused, undefined);
  });

  it('reads again and tries again when somebody wrote in between', async () => {
    const name = newModel();
    let left = 2;
    const off = api.server.faults.add({
      effect: 'refuse',
      code: 409,
      reason: 'Conflict',
      matches: ({ method }) => method === 'PATCH' && (left -= 1) >= 0,
    });
    await ran('abort', name);
    off();
    assert.equal(rollout(name)?.abortRevision, B);
    assert.ok(left < 0);
  });

  it('gives up after some conflicts, and says so', async () => {
    const name = newModel();
    const off = api.server.faults.add({
      effect: 'refuse',
      code: 409,
      reason: 'Conflict',
      message: 'modified',
      matches: ({ method }) => method === 'PATCH',
    });
    await assert.rejects(start('pause', name).code, { code: 'KUBE_STATUS', kind: 'conflict' });
    off();
  });

  it('waits for the operator to see the newest spec before it decides', async () => {
    const name = newModel({ stable: { revision: A }, rollout: { phase: 'Stable' } }, ready);
    api.changeSpec('ml', name, { replicas: 4 });
    const { code } = start('abort', name);
    await eventually('it watches', () => api.server.faults.openWatches === 1);
    api.say('ml', name, { ...underWay, claims: busy });
    assert.equal(await code, 0);
    assert.equal(rollout(name)?.abortRevision, B);
  });

  it('retry waits until the traffic has gone back', async () => {
    const name = newModel({ ...underWay, rollout: { phase: 'Aborting' } });
    const { code } = start('retry', name);
    await eventually('it watches', () => api.server.faults.openWatches === 1);
    assert.equal(rollout(name)?.retryToken, undefined);
    api.say('ml', name, { ...underWay, rollout: { phase: 'Failed' }, claims: stalled });
    assert.equal(await code, 0);
    assert.notEqual(rollout(name)?.retryToken, undefined);
  });

  it('is refused in words', async () => {
    const name = newModel({ stable: { revision: A }, rollout: { phase: 'Stable' } }, ready);
    await assert.rejects(start('promote', name).code, {
      code: 'INTENT_REFUSED',
      kind: 'invalid',
      message: `ml/${name}: promote refused: no rollout is under way: ${A} serves`,
    });
    await assert.rejects(start('abort', 'nobody').code, { kind: 'missing' });
    await assert.rejects(start('pause', name, '--wait').code, {
      code: 'BAD_FLAG',
      message: /--wait: is not for pause/,
    });
    await assert.rejects(start('pause', name, '--revision', B).code, {
      code: 'BAD_FLAG',
      message: /--revision: is not for this command/,
    });
    await assert.rejects(start('pause', name, 'other').code, { code: 'BAD_FLAG', message: /needs one name/ });
    await assert.rejects(start('retry', name, '--timeout', '1m').code, {
      code: 'BAD_FLAG',
      message: /--timeout: is only for --wait/,
    });
  });

  it('explains itself', async () => assert.match(await ran('pin', '--help'), /^Usage: kubectl-onnx pin NAME REVISION/));

  for (const { claims, code: wanted } of [
    { claims: ready, code: 0 },
    { claims: stalled, code: 1 },
  ]) {
    it(`with --wait ends with ${wanted} as wait does, and not by what was said before`, async () => {
      const name = newModel({ ...underWay, rollout: { phase: 'Failed' } }, stalled);
      const { code, text } = start('retry', name, '--wait', '--timeout', '10s');
      await eventually('it waits', () => text().includes('NotObserved'));
      api.say('ml', name, { ...underWay, claims });
      assert.equal(await code, wanted);
    });
  }

  describe('on revisions that are remembered', () => {
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
    /** A promoted B after A; C is on its way. */
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

    it('pin takes the beginning of a name', async () => {
      const name = withHistory();
      await ran('pin', name, 'aaaa');
      assert.equal(rollout(name)?.pinRevision, A);
      await ran('unpin', name);
      assert.deepEqual(rollout(name), { progressDeadline: '5m' });
    });

    it('pin of one that is not remembered is refused, with those that are', async () => {
      const name = withHistory();
      await assert.rejects(start('pin', name, 'dddd').code, {
        code: 'BAD_FLAG',
        message: /REVISION: no revision dddd is remembered; there are cccccccccc, bbbbbbbbbb, aaaaaaaaaa/,
      });
      await assert.rejects(start('pin', name, 'a').code, {
        code: 'BAD_FLAG',
        message: /'a' is not a revision, four to ten hex digits/,
      });
      await assert.rejects(start('pin', name).code, { code: 'BAD_FLAG', message: /REVISION: is missing/ });
    });

    it('undo puts the last promoted spec back, exactly, and shows what changes', async () => {
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
      assert.ok(!managers(name).includes('onnx-cli'), 'the fields are those of the manager that applies the manifest');
    });

    it('undo from a promoted revision goes to the one before it', async () => {
      const name = withHistory();
      await ran('undo', name);
      sayAgain(name, { stable: { revision: B }, rollout: { phase: 'Stable' } }, ready);
      assert.match(await ran('undo', name), /^back to aaaaaaaaaa, the spec of generation 1:\n {2}\+ spec\.execution: /);
      assert.deepEqual(model(name).spec.execution, { precision: 'Source' });
    });

    it('undo to a revision that was forced says that it is judged', async () => {
      const name = withHistory();
      sayAgain(
        name,
        { stable: { revision: B, provenance: 'Forced' }, rollout: { phase: 'Failed' }, candidate: { revision: C } },
        ready,
      );
      assert.match(
        await ran('undo', name, '--to', B, '--dry-run'),
        /warning: bbbbbbbbbb is not proven \(Forced\): it is judged by the checks and gates of the spec/,
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

    it('undo says what will undo it', async () => {
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
          String.raw`warning: Argo CD \(annotation argocd\.argoproj\.io\/tracking-id\) keeps this ` +
            'model, and will put the spec of its source back',
        ),
      );
      assert.match(
        text,
        /warning: spec\.rollout\.pinRevision names aaaaaaaaaa: what is written here counts after "unpin"/,
      );
    });

    it('undo with nothing to go back to says which there are', async () => {
      const name = newModel();
      await assert.rejects(start('undo', name).code, {
        code: 'INTENT_REFUSED',
        message: /no older revision is remembered/,
      });
      remember(name, C, 3);
      await assert.rejects(start('undo', name).code, {
        code: 'INTENT_REFUSED',
        message: /say which with --to: cccccccccc/,
      });
    });

    it('undo to where it is writes nothing', async () => {
      const name = withHistory();
      await ran('undo', name, '--to', B);
      assert.match(await ran('undo', name, '--to', B), /the spec is that of bbbbbbbbbb\n.*undo: nothing to do/);
    });
  });
});
