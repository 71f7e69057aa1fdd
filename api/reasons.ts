/**
 * The reasons that the operator gives: one table. Types, Events and docs/reference/reasons.md are made of it.
 *
 * Owns:  every word that stands as a reason in a condition, an Event, the status, the log or kubectl-onnx. Words are
 *        stable: alerts match on them.
 * Rule:  a word is emitted somewhere, and a test emits it (test/unit/api/reasons.test.ts).
 * Pure.
 */
import type { ConditionType } from './conditions.ts';
import { ownValue } from './record.ts';

/**
 * What becomes of a decision's reason as an Event. `Warning` and `Milestone` Events are never dropped; `Normal` ones
 * have a budget for each model (kube/events/event-rules.ts); a `Silent` reason is read in the status only.
 */
export type EventClass = 'Warning' | 'Milestone' | 'Normal' | 'Silent';

/** Who gives a reason, in the order of the page. `title` and `about` head its section there. */
// prettier-ignore
export const sources = {
  pod: { title: 'Pods and children',
    about: 'What is wrong with a pod, or with making one. `status.*.pods` has it, too.' },
  check: { title: 'Checks before traffic', about: 'What a candidate has to pass before it gets traffic.' },
  gate: { title: 'Gates under traffic', about: 'What takes a candidate back that has traffic.' },
  rollout: { title: 'The course of a rollout', about: 'What the operator did, or waits for.' },
  promotion: { title: 'Promotions',
    about: 'How a revision became stable ([what proves it](../rollouts.md#what-proves-a-revision)).' },
  rest: { title: 'At rest', about: 'One revision serves, and no rollout is under way.' },
  route: { title: 'Traffic', about: 'Why it is not known, or not right, where the traffic goes.' },
  condition: { title: 'Conditions alone', about: 'Words of one condition that no decision gives.' },
  verdict: { title: 'Undecided gates', about: 'Why a gate is `Undecided`: `status.rollout.gates[].reason`.' },
  client: { title: 'kubectl-onnx', about: 'What `wait` and `status` say before the operator has said anything.' },
} as const satisfies Readonly<Record<string, { readonly title: string; readonly about: string }>>;

export type ReasonSource = keyof typeof sources;
/** Sources whose words are reasons of decisions: they are in `decisionConditions`, and may be Events. */
export type DecisionSource = Exclude<ReasonSource, 'condition' | 'verdict' | 'client'>;

type Row = {
  /** One sentence. */
  readonly says: string;
  /** What a person does about it. */
  readonly todo: string;
  /** Conditions that show it, beside those that show every decision (decisionConditions). */
  readonly in?: readonly ConditionType[];
} & (
  | { readonly from: readonly [DecisionSource, ...ReasonSource[]]; readonly event: EventClass }
  | { readonly from: readonly [Exclude<ReasonSource, DecisionSource>]; readonly event?: never }
);

// prettier-ignore
export const reasons = {
  ImagePullBackOff: { from: ['pod'], event: 'Warning', says: 'The image of a container cannot be pulled.',
    todo:
      'Check `spec.runtime.image`, the registry and `spec.template.spec.imagePullSecrets`. The kubelet tries ' +
      'again by itself.' },
  InvalidImageName: { from: ['pod'], event: 'Warning', says: 'The name of an image is not valid.',
    todo: 'Correct `spec.runtime.image`.' },
  ContainerConfigError: { from: ['pod'], event: 'Warning', says: 'The kubelet cannot create or start a container.',
    todo: 'Correct what the message names, for example a Secret that does not exist.' },
  OOMKilled: { from: ['pod'], event: 'Warning',
    says: 'A container used more memory than its limit and was killed; the second time is final.',
    todo: 'Raise `spec.memory.limit`; for the sidecar `spec.runtime.sidecar.resources`.' },
  CrashLoopBackOff: { from: ['pod'], event: 'Warning',
    says: 'A container ended before it was ready, by no known error; the third time is final.',
    todo: 'Read its last words in the message, and its log.' },
  Unschedulable: { from: ['pod'], event: 'Warning', says: 'The scheduler finds no node for a pod.',
    todo: 'Make room, or change `spec.resources`, `spec.memory.limit`, `spec.template` or `spec.rollout.capacity`.' },
  PodsNotCreated: { from: ['pod'], event: 'Warning',
    says: 'The API server refuses the pods of a Deployment: a quota, a LimitRange, Pod Security or a webhook.',
    todo: 'Change the fields that the message names, or the limit of the namespace.' },
  ApplyFailed: { from: ['pod'], event: 'Warning', says: 'The operator cannot write an object of the model.',
    todo: 'Do what the message says; the operator tries again by itself.' },
  PodFailed: { from: ['pod'], event: 'Warning', says: 'A pod failed as a whole, for example because it was evicted.',
    todo: 'Check the node. The Deployment makes another pod.' },
  DigestMismatch: { from: ['pod'], in: ['ArtifactReady'], event: 'Warning',
    says: 'The fetched files do not have the expected digest.',
    todo: 'Correct `spec.model.digest`, or put the expected files back.' },
  InvalidModel: { from: ['pod'], in: ['ArtifactReady'], event: 'Warning',
    says: 'The file is not a model that the runtime can serve.',
    todo: 'Export the model anew; the message names what is wrong.' },
  SourceInvalid: { from: ['pod'], in: ['ArtifactReady'], event: 'Warning',
    says: 'The URI cannot be used, or its file is larger than the limit.', todo: 'Correct `spec.model.uri`.' },
  SourceMissing: { from: ['pod'], in: ['ArtifactReady'], event: 'Warning', says: 'Nothing is at the URI.',
    todo:
      'Put the model there, or correct `spec.model.uri`. It is tried again until ' +
      '`spec.rollout.progressDeadline`.' },
  SourceUnavailable: { from: ['pod'], in: ['ArtifactReady'], event: 'Warning',
    says: 'The source did not answer, or broke off.',
    todo: 'Check the source and the network. It is tried again until `spec.rollout.progressDeadline`.' },
  ModelTooLarge: { from: ['pod'], in: ['ArtifactReady'], event: 'Warning',
    says: 'The model and one run of it need more memory than the limit.',
    todo: 'Raise `spec.memory.limit`, or serve a smaller model or precision.' },
  PrecisionMissing: { from: ['pod'], in: ['ArtifactReady'], event: 'Warning',
    says: 'The model has no file of the precision that is asked for.',
    todo: 'List it in `spec.model.variants`, or change `spec.execution.precision`.' },
  ProviderUnavailable: { from: ['pod'], event: 'Warning', says: 'The image or the node lacks the execution provider.',
    todo: 'Change `spec.execution.providers`, `spec.runtime.image` or the nodes of `spec.template`.' },
  LoadFailed: { from: ['pod'], event: 'Warning',
    says: 'ONNX Runtime cannot load the model, or the runtime ended with another error code.',
    todo: 'Read the message: mostly an operator or an opset that this version does not have.' },
  WarmupTimeout: { from: ['pod'], event: 'Warning', says: 'Warm-up took longer than its timeout.',
    todo: 'Raise `spec.warmup.timeout`, or check whether a run of the model ends.' },
  PrepareFailed: { from: ['pod'], in: ['ArtifactReady'], event: 'Warning',
    says: 'The init container `prepare` failed with another error.',
    todo: 'Read its last words in the message, and its log.' },

  ChecksPassed: { from: ['check'], event: 'Silent', says: 'All checks before traffic have passed.', todo: 'Nothing.' },
  ReportMissing: { from: ['check'], event: 'Silent', says: 'A pod has not reported yet.',
    todo: 'Wait; if it lasts, check whether the operator can reach the pod at its report port.' },
  ChecksRunning: { from: ['check'], event: 'Silent', says: 'The candidate answers generated inputs.', todo: 'Wait.' },
  GoldenWaiting: { from: ['check'], event: 'Silent', says: 'The golden set has not been run yet on every pod.',
    todo: 'Wait; the message says for what.' },
  SignatureChanged: { from: ['check'], event: 'Warning',
    says: 'Inputs or outputs are not those of the stable revision.',
    todo: 'Serve it under another name, or change `spec.model.schemaPolicy` if all clients can take it.' },
  ProviderFallback: { from: ['check'], event: 'Warning',
    says: 'Another provider than the first one runs a part of the graph.',
    todo: 'Change the model or `spec.execution.providers`, or allow it by `spec.execution.fallbackPolicy`.' },
  GoldenFailed: { from: ['check'], event: 'Warning',
    says: 'The answers to the golden set or to generated inputs are too far from the right ones.',
    todo: 'Check the model; if its answers are meant to differ, give `spec.rollout.gates.golden` a set of its own.' },
  GoldenSetMissing: { from: ['check', 'pod'], event: 'Warning',
    says: 'The ConfigMap of the golden set does not exist, or has no key for it.',
    todo: 'Create what `spec.rollout.gates.golden.configMapRef` names. It is looked for again every 5 seconds.' },
  GoldenSetInvalid: { from: ['check', 'pod'], event: 'Warning', says: 'The golden set cannot be read or asked.',
    todo: 'Correct the set, or `spec.rollout.gates.golden`.' },

  LatencyGateFailed: { from: ['gate'], event: 'Warning', says: 'The candidate is slower than the gate allows.',
    todo: 'Compare the bounds in the message with `spec.rollout.gates.latency`; mend the model, or allow more.' },
  ErrorsGateFailed: { from: ['gate'], event: 'Warning', says: 'The candidate fails more requests than the gate allows.',
    todo: "Read the candidate's log; mend the model, or change `spec.rollout.gates.errors`." },
  QualityGateFailed: { from: ['gate'], event: 'Warning',
    says: 'The answers of the candidate to live requests agree too rarely with those of stable.',
    todo: 'Check the model, or change `spec.rollout.gates.quality`.' },

  RevisionCreated: { from: ['rollout'], event: 'Normal', says: 'A rollout of a new revision begins.',
    todo: 'Nothing.' },
  RevisionStarting: { from: ['rollout'], event: 'Silent', says: 'The pods of the candidate start and fetch the model.',
    todo: 'Wait.' },
  RevisionWarming: { from: ['rollout'], event: 'Silent',
    says: 'The model is fetched; the pods of the candidate load it and warm up.', todo: 'Wait.' },
  RevisionReverted: { from: ['rollout'], event: 'Normal',
    says: 'The spec went back to the stable revision; the candidate is dropped.', todo: 'Nothing.' },
  RevisionSuperseded: { from: ['rollout'], event: 'Normal',
    says: 'The spec changed again; the newer revision takes the place of the candidate.', todo: 'Nothing.' },
  WeightMoving: { from: ['rollout'], event: 'Normal', says: 'Traffic is on its way to the weight of the step.',
    todo: 'Wait; the message says which pods or which route are missing.' },
  Analyzing: { from: ['rollout'], event: 'Normal', says: 'The gates judge the candidate.',
    todo: 'Wait; the message says what is still needed.' },
  StepsChanged: { from: ['rollout'], event: 'Normal',
    says: '`spec.rollout.steps` changed; the rollout keeps its weight and goes on by the new steps.',
    todo: 'Nothing.' },
  PausedManually: { from: ['rollout'], event: 'Normal', says: '`spec.rollout.paused` holds the rollout.',
    todo: '`kubectl-onnx resume`, or take the field out.' },
  PausedByStep: { from: ['rollout'], event: 'Normal', says: 'A pause step is reached.',
    todo: '`kubectl-onnx resume`, or wait for the end of its duration.' },
  Resumed: { from: ['rollout'], event: 'Normal', says: 'A pause is over.', todo: 'Nothing.' },
  Undecided: { from: ['rollout'], event: 'Warning',
    says: 'The time of an analyze step is over, and a gate has not decided.',
    todo:
      'Send more requests; or `kubectl-onnx resume`, `promote` or `abort`. `spec.rollout.onUndecided` decides ' +
      'without a person.' },
  ReportsStale: { from: ['rollout'], event: 'Warning',
    says: 'No pod of a revision has reported for a minute; nothing can be judged.',
    todo: 'Check the sidecars, and the network between the operator and the pods.' },
  StableUnhealthy: { from: ['rollout'], event: 'Warning',
    says: 'The stable revision has no ready pod, or breaks a limit itself.',
    todo: 'Mend the stable revision, or `kubectl-onnx promote`.' },
  WeightConflict: { from: ['rollout'], event: 'Warning',
    says: 'Another writer changes the weights of the route again and again.',
    todo: 'Find the writer in the `managedFields` of the HTTPRoute, and stop it.' },
  CandidateUnavailable: { from: ['rollout'], event: 'Warning',
    says: 'The new revision has no ready pod; the old one serves.', todo: 'Look at its pods.' },
  Aborted: { from: ['rollout'], event: 'Normal', says: '`spec.rollout.abortRevision` gave the candidate up.',
    todo: '`kubectl-onnx retry` tries it again.' },
  RollingBack: { from: ['rollout'], event: 'Silent', says: 'Traffic goes back to the stable revision.',
    todo: 'Wait; the message has the cause.' },
  Retried: { from: ['rollout'], event: 'Normal', says: 'A refused revision is tried again.', todo: 'Nothing.' },
  PromotedByRequest: { from: ['rollout'], event: 'Normal',
    says: '`spec.rollout.promoteRevision` gives the candidate all the traffic.', todo: 'Nothing.' },
  Waking: { from: ['rollout'], event: 'Normal', says: 'A revision that became stable without pods is checked now.',
    todo: 'Nothing.' },
  LateRollback: { from: ['rollout'], event: 'Warning',
    says: 'The new stable revision could not keep its pods ready; the old one serves again.',
    todo: 'Look at its pods, then change the spec or `kubectl-onnx retry`.' },
  ProgressDeadlineExceeded: { from: ['rollout'], event: 'Warning',
    says: 'The pods of the candidate were not ready within the deadline.',
    todo: 'Look at its pods, or raise `spec.rollout.progressDeadline`.' },
  WeightDrift: { from: ['rollout'], event: 'Warning',
    says: 'Another writer changed the HTTPRoute; it was put back. An Event alone.',
    todo: 'Find the writer in the `managedFields` of the HTTPRoute.' },
  Draining: { from: ['rollout'], event: 'Silent', says: 'The new revision serves; the old one finishes its requests.',
    todo: 'Nothing.' },

  Promoted: { from: ['promotion'], event: 'Milestone', says: 'The revision became stable; nothing was skipped.',
    todo: 'Nothing.' },
  Pinned: { from: ['promotion', 'rest'], event: 'Milestone', says: '`spec.rollout.pinRevision` decides what serves.',
    todo: '`kubectl-onnx unpin` ends it.' },
  Asleep: { from: ['promotion'], event: 'Milestone', says: 'The revision became stable while `spec.replicas` was 0.',
    todo: 'Nothing; its checks run when there are pods.' },
  Woken: { from: ['promotion'], event: 'Milestone',
    says: 'A revision that was Asleep passed its checks before traffic.', todo: 'Nothing.' },
  Forced: { from: ['promotion'], event: 'Warning',
    says: '`spec.rollout.promoteRevision` made the revision stable; what was left of its checks and gates was skipped.',
    todo: 'Watch it.' },
  ResumedUndecided: { from: ['promotion'], event: 'Warning',
    says: '`spec.rollout.resumeStep` ended a wait before the gates had decided.', todo: 'Watch it.' },
  PromotedUndecided: { from: ['promotion'], event: 'Warning',
    says: '`spec.rollout.onUndecided` is Promote, and the gates had not decided.',
    todo: 'Watch it; give the gates more traffic or time.' },
  StableLost: { from: ['promotion'], event: 'Warning',
    says: 'The stable revision was down or broke its own limits; the gates that compare with it were skipped.',
    todo: 'Watch it.' },

  UpToDate: { from: ['rest'], event: 'Silent', says: 'The wanted revision serves with all its pods.',
    todo: 'Nothing.' },
  ScaledToZero: { from: ['rest'], event: 'Silent', says: '`spec.replicas` is 0.', todo: 'Scale it up to serve.' },
  Scaling: { from: ['rest'], event: 'Silent', says: 'Some pods are ready, not all.',
    todo: 'Wait; if it lasts, look at its pods.' },
  NoReadyPods: { from: ['rest', 'rollout'], in: ['Available'], event: 'Warning',
    says: 'No pod is ready: nothing serves.', todo: 'Look at its pods.' },

  RouteMoving: { from: ['route'], in: ['RouteReady'], event: 'Silent',
    says: 'The traffic is not where the rollout wants it yet.',
    todo: 'Wait; if it lasts, correct the Service or route that the message names.' },
  RouteNotAccepted: { from: ['route'], in: ['RouteReady'], event: 'Warning',
    says: 'No Gateway has accepted the HTTPRoute or its weights.',
    todo: 'Correct `spec.traffic.parentRefs` or the Gateway; the message is from the Gateway.' },
  GatewayApiMissing: { from: ['route'], in: ['RouteReady'], event: 'Warning',
    says: 'The cluster has no HTTPRoute, or the operator may not read it.',
    todo: 'Install the Gateway API, give the operator the rights, or set `spec.traffic.router` to Service.' },

  Serving: { from: ['condition'], in: ['Available'], says: 'The revision serves.', todo: 'Nothing.' },
  NotSelected: { from: ['condition'], in: ['Available'],
    says: 'Pods are ready, and the entry Service does not lead to them.',
    todo: 'Find the writer in the `managedFields` of the Service; the operator puts it back.' },
  Resolved: { from: ['condition'], in: ['ArtifactReady'], says: 'The model is fetched and checked.', todo: 'Nothing.' },
  Preparing: { from: ['condition'], in: ['ArtifactReady'], says: 'No pod has fetched and checked the model yet.',
    todo: 'Wait.' },
  Warm: { from: ['condition'], in: ['ModelLoaded'], says: 'The model is loaded and warmed up.', todo: 'Nothing.' },
  NotReady: { from: ['condition'], in: ['ModelLoaded'], says: 'No pod is ready yet.', todo: 'Wait.' },
  NotReported: { from: ['condition'], in: ['ProvidersActive'], says: 'No pod has reported its execution provider.',
    todo: 'Wait.' },
  AsAsked: { from: ['condition'], in: ['ProvidersActive'], says: 'The first provider of the spec runs the whole graph.',
    todo: 'Nothing.' },
  Fallback: { from: ['condition'], in: ['ProvidersActive'], says: 'Another provider runs a part of the graph.',
    todo: 'Expect it to be slower; `spec.execution.fallbackPolicy` can forbid it.' },
  Selected: { from: ['condition'], in: ['RouteReady'], says: 'One revision gets all the traffic, as decided.',
    todo: 'Nothing.' },
  Shared: { from: ['condition'], in: ['RouteReady'], says: 'Two revisions share the traffic, as decided.',
    todo: 'Nothing.' },
  ForeignFields: { from: ['condition'], in: ['ChildrenModified'],
    says: 'Another writer added to the objects of the operator, and it stays.',
    todo: 'Take it out if it is not wanted; the message names the field and the manager.' },

  TooFewRequests: { from: ['verdict'], says: 'Either revision got fewer requests than anything can be said about.',
    todo: 'Send more requests, or wait.' },
  Uncertain: { from: ['verdict'],
    says: 'The limit lies between the bounds, noise is not known yet, or the candidate still gets faster.',
    todo: 'Wait for more requests or minutes.' },
  OneWindow: { from: ['verdict'], says: 'The verdict depends on a few outlier seconds.',
    todo: 'Look at those seconds, or wait.' },
  LoadUnequal: { from: ['verdict'],
    says: 'Pods of the two revisions carry unequal load, so that their latencies cannot be compared.',
    todo: 'Do what the message says: mostly another number of pods.' },

  NotObserved: { from: ['client'], says: 'The operator has not seen the spec as it is now.',
    todo: 'Wait; if it lasts, check that the operator is running.' },
  NoReadyCondition: { from: ['client'], says: 'The model has no Ready condition for the spec as it is now.',
    todo: 'Wait.' },
} as const satisfies Readonly<Record<string, Row>>;

type Rows = typeof reasons;
export type Reason = keyof Rows;

/** The reasons that a source gives. */
export type ReasonFrom<S extends ReasonSource> = {
  [R in Reason]: [Extract<Rows[R]['from'][number], S>] extends [never] ? never : R;
}[Reason];
/** The reasons of decisions. */
export type DecisionReason = ReasonFrom<DecisionSource>;

/** Conditions that show the reason of the latest decision: ModelLoaded only while a candidate is given up. */
export const decisionConditions = [
  'Ready',
  'Reconciling',
  'Stalled',
  'Paused',
  'ModelLoaded',
] as const satisfies readonly ConditionType[];

/** The reasons of which a condition's column `in` speaks. */
type ReasonOf<T extends ConditionType> = {
  [R in Reason]: Rows[R] extends { readonly in: readonly (infer C)[] } ? (T extends C ? R : never) : never;
}[Reason];
/** The reasons that a condition may show. */
export type ReasonIn<T extends ConditionType> =
  ReasonOf<T> | (T extends (typeof decisionConditions)[number] ? DecisionReason : never);

/** Whether the table has it among the condition's own; false for a word of another version. */
export function isReasonOf<T extends ConditionType>(type: T, reason: string): reason is ReasonOf<T> {
  return ownValue<Row>(reasons, reason)?.in?.includes(type) === true;
}

/** A word of another version that a status still has is told as a warning. */
export function eventClassOf(reason: string): EventClass {
  return ownValue<Row>(reasons, reason)?.event ?? 'Warning';
}
