/** The words that stand in one condition alone, and what makes the operator say each. */
import assert from 'node:assert/strict';
import type { ConditionType } from '../../../../api/conditions.ts';
import type { Report } from '../../../../api/report.ts';
import { claimsOf, type Facts } from '../../../../operator/reconcile/conditions.ts';
import { rolloutPlanOf } from '../../../../operator/rollout/plan.ts';
import type { Decision, Observation, RolloutState, Trouble } from '../../../../operator/rollout/state.ts';
import { given } from '../../../support/given.ts';

const model = given.model();
const record = given.record(model);
const a = record.revision;
const stable: RolloutState = { phase: 'Stable', stable: a };
const failed: RolloutState = {
  phase: 'Failed',
  stable: null,
  rejected: a,
  cause: 'SourceInvalid',
  detail: 'prepare: no such scheme',
  attempt: 1,
  since: 0,
};
const resolved = {
  digest: 'sha256:00',
  precision: 'Source',
  provider: 'CPU',
  signature: 's',
  memoryEstimateBytes: 1,
} as unknown as NonNullable<typeof record.resolved>;
const healthy = { ready: 2, present: 2, deployed: true, resolved: true };
const down = { ...healthy, ready: 0 };
const seen: Observation = {
  target: a,
  routed: a,
  pods: { [a]: healthy },
  traffic: { shares: { [a]: 100 }, reverts: 0 },
};
const runsOn = (...providers: readonly string[]): readonly Report[] => [
  { providers: { actual: providers.map((provider) => ({ provider, nodes: 1 })) } } as unknown as Report,
];
const trouble = (reason: Trouble['reason']): Trouble => ({ reason, message: 'prepare: words', fatal: false });

type Given = Partial<Omit<Facts, 'decision' | 'seen'>> & {
  readonly next?: RolloutState;
  readonly decision?: Partial<Decision>;
  readonly seen?: Partial<Observation>;
};

function claimOf(type: ConditionType, { next = stable, decision, seen: more, ...rest }: Given): string {
  const claims = claimsOf({
    decision: { next, serve: a, run: [], reason: 'UpToDate', message: '2 of 2 pods are ready', ...decision },
    seen: { ...seen, ...more },
    plan: rolloutPlanOf(model.spec, 10_000),
    record,
    reports: [],
    ...rest,
  });
  const found = claims.find((claim) => claim.type === type);
  return found === undefined ? '' : `${found.status} ${found.reason}: ${found.message}`;
}

// prettier-ignore
const rows: readonly (readonly [sentence: string, type: ConditionType, given: Given, want: RegExp])[] = [
  ['a revision with ready pods serves', 'Available', {}, /^True Serving: .* 2 ready pods$/],
  ['without a ready pod nothing serves', 'Available', { seen: { pods: { [a]: down } } }, /^False NoReadyPods: /],
  ['ready pods that the entry Service does not lead to are not reached', 'Available',
    { seen: { traffic: { shares: undefined, problem: 'Service ranker selects others', reverts: 0 } } },
    /^False NotSelected: 2 ready pods .*: Service ranker selects others$/],
  ['a model is resolved once a pod has said so', 'ArtifactReady', { record: { ...record, resolved } },
    /^True Resolved: .* sha256:00$/],
  ['a model is prepared until then', 'ArtifactReady', {}, /^Unknown Preparing: /],
  ['a trouble of the model is shown', 'ArtifactReady',
    { seen: { pods: { [a]: { ...down, trouble: trouble('PrecisionMissing') } } } },
    /^False PrecisionMissing: prepare: words$/],
  ['a trouble of the pod alone is not one of the model', 'ArtifactReady',
    { seen: { pods: { [a]: { ...down, trouble: trouble('ProviderUnavailable') } } } }, /^Unknown Preparing: /],
  ['a model that a candidate was given up for stays to be read', 'ArtifactReady', { next: failed },
    /^False SourceInvalid: prepare: no such scheme$/],
  ['a model is warm with a ready pod', 'ModelLoaded', {}, /^True Warm: /],
  ['a model is not loaded without one', 'ModelLoaded', { seen: { pods: { [a]: down } } }, /^Unknown NotReady: /],
  ['a model that was given up says why', 'ModelLoaded', { next: failed, seen: { pods: { [a]: down } } },
    /^False SourceInvalid: /],
  ['a provider is not known before a report', 'ProvidersActive', {}, /^Unknown NotReported: /],
  ['a provider that runs the whole graph is as asked', 'ProvidersActive', { reports: runsOn('CPU') },
    /^True AsAsked: CPU /],
  ['another provider beside it is a fallback', 'ProvidersActive', { reports: runsOn('CPU', 'WebGPU') },
    /^False Fallback: CPU was asked for, WebGPU is used too$/],
  ['what others added is named', 'ChildrenModified', { told: ['Deployment m has a volume of kubectl'] },
    /^True ForeignFields: .*Deployment m has a volume of kubectl$/],
  ['nothing is named where nothing was added', 'ChildrenModified', {}, /^$/],
  ['an object that cannot be written outweighs the decision', 'Ready',
    { failure: { reason: 'ApplyFailed', message: 'Service m cannot be applied', fatal: false } },
    /^False ApplyFailed: Service m cannot be applied$/],
  ['a word of another version is shown as it is', 'Ready',
    { decision: { reason: 'StepDone' as Decision['reason'] } }, /^True StepDone: /],
];

describe('what conditions say', () => {
  for (const [sentence, type, facts, want] of rows) it(sentence, () => assert.match(claimOf(type, facts), want));
});
