/** Runs the Lua scripts for Argo CD: the health in every phase, and the fields that its actions write. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import type { Phase } from '../../operator/rollout/state.ts';
import { given } from '../support/given.ts';
import { lua, runLua } from '../support/lua.ts';
import { candidateRevision, stableRevision, states, told, type Telling } from '../support/told-models.ts';

const file = join(import.meta.dirname, '..', '..', 'docs', 'gitops', 'argocd-cm.yaml');
const { data } = parse(readFileSync(file, 'utf8')) as { readonly data: Readonly<Record<string, string>> };
const of = (what: string): string => data[`resource.customizations.${what}.onnx-operator.dev_OnnxModel`] ?? '';
const actions = parse(of('actions')) as {
  readonly 'discovery.lua': string;
  readonly definitions: readonly { readonly name: string; readonly 'action.lua': string }[];
};

type Health = { readonly status: string; readonly message: string };
const healthOf = (model: object): Health => runLua(of('health'), model) as Health;

const promised: Readonly<Record<Phase, string>> = {
  New: 'Progressing',
  Preparing: 'Progressing',
  Shifting: 'Progressing',
  Analyzing: 'Progressing',
  Paused: 'Suspended',
  Promoting: 'Progressing',
  Settling: 'Healthy',
  Stable: 'Healthy',
  Aborting: 'Progressing',
  Failed: 'Degraded',
};

describe('the Lua for Argo CD', () => {
  before(function () {
    // Skip without a Lua interpreter; CI installs one.
    if (lua === undefined) this.skip();
  });

  describe('health', () => {
    for (const [phase, want] of Object.entries(promised) as [Phase, string][]) {
      it(`is ${want} in ${phase}`, () => assert.equal(healthOf(told(states[phase])).status, want));
    }

    // prettier-ignore
    const rows: readonly { readonly name: string; readonly model: () => object; readonly want: Health }[] = [
      { name: 'says why a revision was given up', model: () => told(states.Failed),
        want: { status: 'Degraded', message: 'LatencyGateFailed: Failed it is' } },
      { name: 'is Suspended during a manual pause',
        model: () => told({ ...states.Analyzing, heldAt: 1 }, { reason: 'PausedManually' }),
        want: { status: 'Suspended', message: 'PausedManually: Analyzing it is' } },
      { name: 'is Suspended while a revision is pinned',
        model: () => told(states.Stable, { rollout: { pinRevision: stableRevision } }),
        want: { status: 'Suspended', message: `${stableRevision} is pinned` } },
      { name: 'is Progressing until the operator has observed a new spec',
        model: () => { const model = told(states.Stable);
          return { ...model, metadata: { ...model.metadata, generation: 4 } }; },
        want: { status: 'Progressing', message: 'the operator has not seen generation 4 yet' } },
      { name: 'is Progressing until the operator has observed a new model', model: () => given.model(),
        want: { status: 'Progressing', message: 'the operator has not seen generation 3 yet' } },
      { name: 'ignores conditions of an older spec',
        model: () => { const { status, ...model } = told(states.Stable);
          return { ...model, status: { ...status, conditions:
          status?.conditions?.map((one) => ({ ...one, observedGeneration: 2 })) } }; },
        want: { status: 'Progressing',
          message: 'NoReadyCondition: the operator has not set the condition Ready yet' } },
    ];
    for (const { name, model, want } of rows) it(name, () => assert.deepEqual(healthOf(model()), want));
  });

  describe('actions', () => {
    const enabled = (model: object): readonly string[] => {
      const found = runLua(actions['discovery.lua'], model) as Readonly<Record<string, { readonly disabled: boolean }>>;
      return Object.entries(found)
        .filter(([, { disabled }]) => !disabled)
        .map(([name]) => name)
        .sort();
    };
    const rows: readonly { readonly phase: Phase; readonly telling?: Telling; readonly want: readonly string[] }[] = [
      { phase: 'Stable', want: [] },
      { phase: 'Settling', want: [] },
      { phase: 'Aborting', want: [] },
      { phase: 'Analyzing', want: ['abort', 'pause', 'promote'] },
      { phase: 'Analyzing', telling: { rollout: { paused: true } }, want: ['abort', 'promote', 'resume'] },
      { phase: 'Paused', want: ['abort', 'pause', 'promote', 'resume'] },
      { phase: 'Failed', want: ['retry'] },
    ];
    for (const { phase, telling, want } of rows)
      it(`offers ${want.join(', ') || 'nothing'} in ${phase}${telling === undefined ? '' : ', while paused'}`, () =>
        assert.deepEqual(enabled(told(states[phase], telling)), want));

    it('offers nothing for a model that the operator has not observed', () =>
      assert.deepEqual(enabled(given.model()), []));

    const rolloutAfter = (action: string, model: OnnxModel): unknown => {
      const script = actions.definitions.find(({ name }) => name === action)?.['action.lua'] ?? '';
      return (runLua(script, model) as OnnxModel).spec.rollout;
    };
    // prettier-ignore
    const writes: readonly { readonly action: string; readonly phase: Phase;
      readonly rollout?: Telling['rollout']; readonly want: object }[] = [
      { action: 'pause', phase: 'Analyzing', want: { paused: true } },
      { action: 'resume', phase: 'Analyzing', rollout: { paused: true,
          progressDeadline: '5m' }, want: { progressDeadline: '5m' } },
      { action: 'resume', phase: 'Paused', want: { resumeStep: `${candidateRevision}/1` } },
      { action: 'promote', phase: 'Analyzing', rollout: { abortRevision: candidateRevision },
        want: { promoteRevision: candidateRevision } },
      { action: 'abort', phase: 'Analyzing', rollout: { promoteRevision: candidateRevision },
        want: { abortRevision: candidateRevision } },
      { action: 'abort', phase: 'Analyzing', rollout: { promoteRevision: 'cccccccccc' },
        want: { abortRevision: candidateRevision, promoteRevision: 'cccccccccc' } },
    ];
    for (const { action, phase, rollout, want } of writes) {
      const given = rollout === undefined ? '' : ` with ${Object.keys(rollout).join(' and ')}`;
      it(`${action} in ${phase}${given} writes the same fields as the command line`, () =>
        assert.deepEqual(rolloutAfter(action, told(states[phase], rollout === undefined ? {} : { rollout })), want));
    }
    it('retry writes a time as the token, and removes the abort', () => {
      const after = rolloutAfter(
        'retry',
        told(states.Failed, { rollout: { abortRevision: candidateRevision } }),
      ) as Readonly<Record<string, string>>;
      assert.deepEqual(Object.keys(after), ['retryToken']);
      assert.match(after['retryToken'] ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    });
  });
});
