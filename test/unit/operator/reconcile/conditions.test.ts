/** The reasons that occur in only one type of condition, and the facts that cause each reason. */
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
  ['no revision serves without a ready pod', 'Available', { seen: { pods: { [a]: down } } }, /^False NoReadyPods: /],
  ['clients cannot reach ready pods that the entry Service does not select', 'Available',
    { seen: { traffic: { shares: undefined, problem: 'Service ranker selects others', reverts: 0 } } },
    /^False NotSelected: clients cannot reach the 2 ready pods of .*: Service ranker selects others$/],
  ['a model is resolved once a pod has reported it', 'ArtifactReady', { record: { ...record, resolved } },
    /^True Resolved: .* sha256:00$/],
  ['a model is being prepared before a pod has reported it', 'ArtifactReady', {}, /^Unknown Preparing: /],
  ['trouble of the model is shown', 'ArtifactReady',
    { seen: { pods: { [a]: { ...down, trouble: trouble('PrecisionMissing') } } } },
    /^False PrecisionMissing: prepare: words$/],
  ['trouble of the pod is not trouble of the model', 'ArtifactReady',
    { seen: { pods: { [a]: { ...down, trouble: trouble('ProviderUnavailable') } } } }, /^Unknown Preparing: /],
  ['trouble of the model stays visible after the candidate has failed', 'ArtifactReady', { next: failed },
    /^False SourceInvalid: prepare: no such scheme$/],
  ['a model is warm when a pod is ready', 'ModelLoaded', {}, /^True Warm: /],
  ['a model is not loaded without a ready pod', 'ModelLoaded', { seen: { pods: { [a]: down } } },
    /^Unknown NotReady: /],
  ['a failed candidate shows the cause', 'ModelLoaded', { next: failed, seen: { pods: { [a]: down } } },
    /^False SourceInvalid: /],
  ['the provider is unknown before the first report', 'ProvidersActive', {}, /^Unknown NotReported: /],
  ['a provider that runs the whole graph is as requested', 'ProvidersActive', { reports: runsOn('CPU') },
    /^True AsAsked: CPU /],
  ['an additional provider is a fallback', 'ProvidersActive', { reports: runsOn('CPU', 'WebGPU') },
    /^False Fallback: part of the graph runs on WebGPU instead of CPU$/],
  ['fields of other writers are named', 'ChildrenModified', { told: ['Deployment m has a volume of kubectl'] },
    /^True ForeignFields: .*Deployment m has a volume of kubectl$/],
  ['the condition is absent when there are no fields of other writers', 'ChildrenModified', {}, /^$/],
  ['an object that cannot be written takes precedence over the decision', 'Ready',
    { failure: { reason: 'ApplyFailed', message: 'Service m cannot be applied', fatal: false } },
    /^False ApplyFailed: Service m cannot be applied$/],
  ['a reason of another version is shown unchanged', 'Ready',
    { decision: { reason: 'StepDone' as Decision['reason'] } }, /^True StepDone: /],
];

describe('conditions', () => {
  for (const [sentence, type, facts, want] of rows) it(sentence, () => assert.match(claimOf(type, facts), want));
});
