/**
 * Intents: the fields of `spec.rollout` by which a command of kubectl-onnx asks for one action, and who owns them.
 */
import assert from 'node:assert/strict';
import type { OnnxModel, OnnxModelStatus } from '../../../../api/onnxmodel.ts';
import {
  abort,
  pause,
  pin,
  promote,
  resume,
  tryAgain,
  unpin,
  type Intent,
  type IntentFields,
} from '../../../../cli/cluster/intents.ts';
import { gitOwner, manifestOwners } from '../../../../cli/cluster/ownership.ts';
import { given } from '../../../support/given.ts';

const [A, B, C] = ['aaaaaaaaaa', 'bbbbbbbbbb', 'cccccccccc'];
const token = '2026-01-02T03:04:05Z';
type Rollout = NonNullable<OnnxModel['spec']['rollout']>;

const status = (
  phase: string,
  more: Partial<NonNullable<OnnxModelStatus['rollout']>> = {},
  has: Partial<OnnxModelStatus> = { candidate: { revision: B } },
): OnnxModelStatus => ({
  observedGeneration: 3,
  message: `${phase} it is`,
  stable: { revision: A },
  ...has,
  rollout: { phase, ...more },
});
const analyzing = status('Analyzing', { step: 1 });
const failed = status('Failed');
const gaveUp = { revision: B, outcome: 'Failed', reason: 'GoldenFailed', at: '2026-01-01T00:00:00Z' } as const;
const stable = status('Stable', {}, {});
const settling = status('Settling', { retiring: A }, { stable: { revision: B } });
const paused = (pausedReason: string): OnnxModelStatus => status('Paused', { step: 2, pausedReason });

/** An entry of managedFields, as an API server stores it. */
const owned = (manager: string, operation: string, ...fields: readonly string[]) => ({
  manager,
  operation,
  fieldsV1: { 'f:spec': { 'f:rollout': Object.fromEntries(fields.map((field) => [`f:${field}`, {}])) } },
});

type Row = {
  readonly name: string;
  readonly intent: Intent;
  readonly status?: OnnxModelStatus;
  readonly rollout?: Rollout;
  readonly managedFields?: readonly object[];
  readonly revision?: string;
  readonly want:
    | { readonly set: IntentFields; readonly say?: RegExp }
    | { readonly takeOut: IntentFields }
    | { readonly nothing: RegExp }
    | { readonly refuse: RegExp };
};

// prettier-ignore
const rows: readonly Row[] = [
  { name: 'promote names the candidate', intent: promote, status: analyzing,
    want: { set: { promoteRevision: B }, say: /bbbbbbbbbb gets all the traffic/ } },
  { name: 'promote removes an abort of the same revision', intent: promote, status: analyzing,
    rollout: { abortRevision: B }, want: { set: { promoteRevision: B, abortRevision: null } } },
  { name: 'promote keeps an abort of another revision that another manager wrote', intent: promote,
    status: analyzing, rollout: { abortRevision: C }, want: { set: { promoteRevision: B } } },
  { name: 'promote removes an abort of another revision that this command wrote', intent: promote,
    status: analyzing, rollout: { abortRevision: C, paused: true },
    managedFields: [owned('onnx-cli', 'Update', 'abortRevision', 'paused')],
    want: { set: { promoteRevision: B, abortRevision: null }, say: /spec.rollout.paused holds it/ } },
  { name: 'promote twice is one promotion', intent: promote, status: analyzing,
    rollout: { promoteRevision: B }, want: { nothing: /the promotion of bbbbbbbbbb is already requested/ } },
  { name: 'promote of another revision than the candidate is refused', intent: promote,
    status: analyzing, revision: C, want: { refuse: /the candidate is bbbbbbbbbb, not cccccccccc/ } },
  { name: 'promote at rest is refused', intent: promote, status: stable,
    want: { refuse: /no rollout is in progress: aaaaaaaaaa serves/ } },
  { name: 'promote of a revision that was given up recommends retry', intent: promote, status: failed,
    want: {
      refuse:
      new RegExp(String.raw`^bbbbbbbbbb was given up \("retry" starts a new attempt\): Failed it is\. To promote it ` +
        'anyway, add --revision bbbbbbbbbb$') } },
  { name: 'promote of a revision that was given up does not repeat the message of the status',
    intent: promote, status: { ...failed, message: `${B} was given up; ${A} serves` },
    want: { refuse: /^bbbbbbbbbb was given up; aaaaaaaaaa serves\. To promote/ } },
  { name: 'promote of a revision that was given up is written when --revision names it', intent: promote,
    status: failed, revision: B, rollout: { promoteRevision: B }, want: { set: { promoteRevision: B } } },
  { name: 'promote first removes a request that the operator has handled', intent: promote,
    status: status('Analyzing', { step: 1, handledPromoteRevision: B }),
    rollout: { promoteRevision: B }, want: { takeOut: { promoteRevision: null } } },
  { name: 'promote first removes a handled request of a revision that was given up', intent: promote,
    status: status('Failed', { handledPromoteRevision: B }), revision: B,
    rollout: { promoteRevision: B }, want: { takeOut: { promoteRevision: null } } },
  { name: 'promote is not written again before the operator has observed the removal',
    intent: promote, status: { ...status('Analyzing', { step: 1, handledPromoteRevision: B }),
      observedGeneration: 2 }, want: { refuse: /has not observed generation 3 yet/ } },
  { name: 'promote of a promoted revision recommends undo', intent: promote, status: settling,
    want: { refuse: /bbbbbbbbbb was already promoted: "undo --to aaaaaaaaaa" goes back/ } },
  { name: 'promote of a named revision needs no status', intent: promote,
    status: { ...stable, observedGeneration: 2 }, revision: B, want: { set: { promoteRevision: B } } },

  { name: 'abort names the candidate', intent: abort, status: analyzing,
    want: { set: { abortRevision: B }, say: /giving up bbbbbbbbbb; aaaaaaaaaa serves/ } },
  { name: 'abort removes promoteRevision and resumeStep of the revision', intent: abort,
    status: analyzing, rollout: { promoteRevision: B, resumeStep: `${B}/1` },
    want: { set: { abortRevision: B, promoteRevision: null, resumeStep: null } } },
  { name: 'abort of a first revision says that no other revision serves', intent: abort,
    status: { ...status('Preparing'), stable: undefined } as unknown as OnnxModelStatus,
    want: { set: { abortRevision: B }, say: /no other revision serves/ } },
  { name: 'abort of a revision that was given up changes nothing', intent: abort,
    status: failed, want: { nothing: /was given up/ } },
  { name: 'abort of a revision that is being rolled back changes nothing', intent: abort,
    status: status('Aborting'), want: { nothing: /already being rolled back/ } },
  { name: 'abort at rest is refused', intent: abort, status: stable, want: { refuse: /no rollout is in progress/ } },
  { name: 'abort of a model that the operator has not observed is refused',
    intent: abort, want: { refuse: /no rollout is in progress/ } },
  { name: 'abort is written in an unknown phase of a newer operator', intent: abort,
    status: status('Shadowing'), want: { set: { abortRevision: B } } },

  { name: 'retry changes the token', intent: tryAgain, status: failed,
    rollout: { retryToken: '1' }, want: { set: { retryToken: token } } },
  { name: 'retry removes the abort of that revision, and a promotion that would skip its gates',
    intent: tryAgain, status: failed, rollout: { abortRevision: B, promoteRevision: B },
    want: { set: { retryToken: token, abortRevision: null, promoteRevision: null } } },
  { name: 'retry is refused while the traffic moves back to stable', intent: tryAgain,
    status: status('Aborting'), want: { refuse: /still moving back to stable/ } },
  { name: 'retry is refused during a rollout', intent: tryAgain,
    status: analyzing, want: { refuse: /the rollout of bbbbbbbbbb is in progress/ } },
  { name: 'retry at rest is refused', intent: tryAgain, status: stable, want: { refuse: /no revision was given up/ } },
  { name: 'retry of another revision is refused', intent: tryAgain, status: failed,
    revision: C, want: { refuse: /is bbbbbbbbbb, not cccccccccc/ } },

  { name: 'pause holds the rollout', intent: pause, status: analyzing,
    want: { set: { paused: true }, say: /the rollout of bbbbbbbbbb is held/ } },
  { name: 'pause at rest holds the next rollout, and says so', intent: pause,
    status: stable, want: { set: { paused: true }, say: /the next one will be held/ } },
  { name: 'a second pause changes nothing', intent: pause, status: analyzing,
    rollout: { paused: true }, want: { nothing: /spec\.rollout\.paused is already true/ } },

  { name: 'resume first ends a manual pause', intent: resume, status: paused('Step'),
    rollout: { paused: true }, want: { set: { paused: null }, say: /the rollout of bbbbbbbbbb continues/ } },
  { name: 'resume names the paused step', intent: resume, status: paused('Step'),
    want: { set: { resumeStep: `${B}/2` }, say: /continues from step 3$/ } },
  { name: 'resume ends the wait for an undecided gate', intent: resume,
    status: paused('Undecided'), want: { set: { resumeStep: `${B}/2` } } },
  { name: 'resume removes a promotion of another revision that this command wrote', intent: resume,
    status: paused('Step'),
    rollout: { promoteRevision: C }, managedFields: [owned('onnx-cli', 'Update', 'promoteRevision')],
    want: { set: { resumeStep: `${B}/2`, promoteRevision: null } } },
  { name: 'resume says that reports are missing', intent: resume, status: paused('ReportsStale'),
    want: { set: { resumeStep: `${B}/2` }, say: /from step 3, although its pods have not reported/ } },
  { name: 'resume says that stable is unhealthy', intent: resume, status: paused('StableUnhealthy'),
    want: { set: { resumeStep: `${B}/2` }, say: /although stable is unhealthy/ } },
  { name: 'resume of a pause outside the steps is refused', intent: resume,
    status: status('Preparing', { pausedReason: 'AwaitingCapacity' }),
    want: { refuse: /"resume" cannot end a pause for AwaitingCapacity: Preparing it is/ } },
  { name: 'resume of a rollout that is not paused is refused', intent: resume, status: analyzing,
    want: { refuse: /the rollout is not paused/ } },
  { name: 'resume with a status of an older spec is refused', intent: resume,
    status: { ...paused('Step'), observedGeneration: 2 },
    want: { refuse: /has not observed generation 3 yet \(observed: 2\)/ } },
  { name: 'resume of another revision is refused', intent: resume, status: paused('Step'),
    revision: C, want: { refuse: /the candidate is bbbbbbbbbb, not cccccccccc/ } },

  { name: 'pin names the revision', intent: pin, status: analyzing, revision: A, want: { set: { pinRevision: A } } },
  { name: 'pin of stable says that it keeps serving', intent: pin, status: stable,
    revision: A, want: { set: { pinRevision: A }, say: /keeps serving/ } },
  { name: 'pin of another revision says that checks and gates are skipped', intent: pin, status: stable,
    revision: C, want: { set: { pinRevision: C },
      say: /takes over when its pods are ready.*checks and gates are skipped; cccccccccc is not proven/ } },
  { name: 'pin of the candidate that was given up is refused', intent: pin, status: { ...failed, history: [gaveUp] },
    revision: B, want: { refuse: /was given up.*"retry" judges it again, "promote --revision bbbbbbbbbb"/ } },
  { name: 'pin of a revision that was given up earlier is refused', intent: pin,
    status: { ...stable, history: [gaveUp] },
    revision: B, want: { refuse: /was given up.*"undo --to bbbbbbbbbb"/ } },
  { name: 'pin of a revision that was given up and later promoted is written', intent: pin,
    status: { ...stable, history: [{ ...gaveUp, outcome: 'Promoted', provenance: 'Forced' },
      gaveUp] }, revision: B, want: { set: { pinRevision: B }, say: /not proven/ } },
  { name: 'retry is refused while the revision is pinned', intent: tryAgain, status: failed,
    rollout: { pinRevision: B }, want: { refuse: /pinRevision names bbbbbbbbbb: "unpin" first/ } },
  { name: 'retry is refused while another revision is pinned', intent: tryAgain, status: failed,
    rollout: { pinRevision: A }, want: { refuse: /pinRevision names aaaaaaaaaa: "unpin" first/ } },
  { name: 'promote says that checks and gates are skipped', intent: promote, status: analyzing,
    want: { set: { promoteRevision: B }, say: /the remaining checks and gates are skipped/ } },
  { name: 'a second pin changes nothing', intent: pin, status: analyzing, revision: A,
    rollout: { pinRevision: A }, want: { nothing: /is already pinned/ } },
  { name: 'unpin removes the pin', intent: unpin, status: stable,
    rollout: { pinRevision: A }, want: { set: { pinRevision: null } } },
  { name: 'unpin without a pin changes nothing', intent: unpin, status: stable,
    want: { nothing: /no revision is pinned/ } },
];

describe('an intent', () => {
  for (const { name, intent, status: said, rollout, managedFields = [], revision, want } of rows) {
    it(name, () => {
      const model = given.model(rollout === undefined ? {} : { rollout }, said === undefined ? {} : { status: said });
      const move = intent(
        { ...model, metadata: { ...model.metadata, managedFields } as OnnxModel['metadata'] },
        { revision, token },
      );
      if ('set' in want) {
        assert.ok(move.kind === 'Patch', JSON.stringify(move));
        assert.deepEqual(move.set, want.set);
        assert.match(move.say, want.say ?? /./);
      } else if ('takeOut' in want) {
        assert.deepEqual(move, { kind: 'TakeOut', set: want.takeOut });
      } else if ('nothing' in want) {
        assert.ok(move.kind === 'Nothing', JSON.stringify(move));
        assert.match(move.say, want.nothing);
      } else {
        assert.ok(move.kind === 'Refuse', JSON.stringify(move));
        assert.match(move.why, want.refuse);
      }
    });
  }
});

describe('the other managers of a field', () => {
  it('are the server-side appliers of the field', () =>
    assert.deepEqual(
      manifestOwners(
        {
          managedFields: [
            owned('flux', 'Apply', 'paused'),
            owned('kubectl-edit', 'Update', 'paused'),
            owned('onnx-cli', 'Update', 'paused'),
          ],
        },
        'paused',
      ),
      ['flux'],
    ));
  it('are kubectl apply when its annotation has the field', () => {
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '{"spec":{"rollout":{"paused":true}}}' };
    assert.deepEqual(manifestOwners({ annotations }, 'paused'), ['kubectl apply']);
    assert.deepEqual(manifestOwners({ annotations }, 'abortRevision'), []);
  });
  it('are empty when the annotation is not JSON', () =>
    assert.deepEqual(
      manifestOwners({ annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{' } }, 'paused'),
      [],
    ));

  // prettier-ignore
  const marks: readonly { readonly name: string; readonly meta: object; readonly owner: string | undefined }[] = [
    { name: 'Argo CD by its label', meta: { labels: { 'argocd.argoproj.io/instance': 'x' } },
      owner: 'Argo CD (label argocd.argoproj.io/instance)' },
    { name: 'Argo CD by its tracking annotation', meta: { annotations: { 'argocd.argoproj.io/tracking-id': 'x' } },
      owner: 'Argo CD (annotation argocd.argoproj.io/tracking-id)' },
    { name: 'Flux by its label', meta: { labels: { 'kustomize.toolkit.fluxcd.io/name': 'x' } },
      owner: 'Flux (label kustomize.toolkit.fluxcd.io/name)' },
    { name: 'Flux by its field manager', meta: { managedFields: [owned('kustomize-controller', 'Apply')] },
      owner: 'Flux (field manager kustomize-controller)' },
    { name: 'Helm by its release', meta: { annotations: { 'meta.helm.sh/release-name': 'x' } },
      owner: 'Helm (annotation meta.helm.sh/release-name)' },
    { name: 'objects without a GitOps tool', meta: { labels: { app: 'x' },
        managedFields: [owned('kubectl-client-side-apply', 'Update')] }, owner: undefined },
  ];
  for (const { name, meta, owner } of marks) it(`recognises ${name}`, () => assert.equal(gitOwner(meta), owner));
});
