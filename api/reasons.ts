/**
 * The table of reasons. Types, Events and docs/reference/reasons.md are made from it. Pure.
 *
 * Owns: every reason in a condition, an Event, the status, the log or kubectl-onnx. Reasons are stable, because alerts
 *       match on them. Every reason is emitted by the code, and at least one test emits it
 *       (test/unit/api/reasons.test.ts).
 */
import type { ConditionType } from './conditions.ts';
import { ownValue } from './record.ts';

/**
 * How a decision's reason is written as an Event. Each model has a budget for `Normal` Events
 * (kube/events/event-rules.ts); `Warning` and `Milestone` Events are exempt from the budget. A `Silent` reason is only
 * in the status.
 */
export type EventClass = 'Warning' | 'Milestone' | 'Normal' | 'Silent';

/** Sources of reasons, in the order of the reference page. Each has the title and the first line of its section. */
// prettier-ignore
export const sources = {
  pod: { title: 'Pods and children',
    about: 'Problems of pods, or of creating them. `status.*.pods` has them, too.' },
  check: { title: 'Checks before traffic', about: 'A candidate must pass these checks before it gets traffic.' },
  gate: { title: 'Gates under traffic', about: 'A candidate is rolled back when one of these gates fails.' },
  rollout: { title: 'The course of a rollout', about: 'What the operator did, or waits for.' },
  promotion: { title: 'Promotions',
    about: 'How a revision became stable ([what proves it](../rollouts.md#what-proves-a-revision)).' },
  rest: { title: 'At rest', about: 'One revision serves, and no rollout is in progress.' },
  route: { title: 'Traffic', about: 'The traffic is not as decided, or its state is unknown.' },
  condition: { title: 'Reasons that only conditions have', about: 'These never appear in a decision or Event.' },
  verdict: { title: 'Undecided gates', about: 'Why a gate is `Undecided`: `status.rollout.gates[].reason`.' },
  client: { title: 'kubectl-onnx',
    about: 'What `wait` and `status` print before the operator has observed the present spec.' },
} as const satisfies Readonly<Record<string, { readonly title: string; readonly about: string }>>;

export type ReasonSource = keyof typeof sources;
/**
 * Sources of the reasons of decisions. The conditions in `decisionConditions` show these reasons, and they may become
 * Events.
 */
export type DecisionSource = Exclude<ReasonSource, 'condition' | 'verdict' | 'client'>;

type Row = {
  /** What happened, in one sentence. */
  readonly says: string;
  /** What the user should do. */
  readonly todo: string;
  /** Other conditions that show the reason. The conditions in decisionConditions show the reason of every decision. */
  readonly in?: readonly ConditionType[];
} & (
  | { readonly from: readonly [DecisionSource, ...ReasonSource[]]; readonly event: EventClass }
  | { readonly from: readonly [Exclude<ReasonSource, DecisionSource>]; readonly event?: never }
);

// prettier-ignore
export const reasons = {
  ImagePullBackOff: { from: ['pod'], event: 'Warning', says: 'The image of a container cannot be pulled.',
    todo:
      'Check `spec.runtime.image`, the registry and `spec.template.spec.imagePullSecrets`. The kubelet retries ' +
      'automatically.' },
  InvalidImageName: { from: ['pod'], event: 'Warning', says: 'The name of an image is not valid.',
    todo: 'Correct `spec.runtime.image`.' },
  ContainerConfigError: { from: ['pod'], event: 'Warning', says: 'The kubelet cannot create or start a container.',
    todo: 'Correct the object that the message names, for example a Secret that does not exist.' },
  OOMKilled: { from: ['pod'], event: 'Warning',
    says:
      'A container was killed because it exceeded its memory limit. If the container had already ended before, for ' +
      'any cause, the candidate is given up.',
    todo: 'Raise `spec.memory.limit`; for the sidecar `spec.runtime.sidecar.resources`.' },
  CrashLoopBackOff: { from: ['pod'], event: 'Warning',
    says:
      'A container ended before it was ready, without a known error code. At the third termination of the container, ' +
      'of any cause, the candidate is given up.',
    todo: "Read the container's termination message, which the condition's message quotes, and its log." },
  Unschedulable: { from: ['pod'], event: 'Warning', says: 'The scheduler finds no node for a pod.',
    todo: 'Add nodes, or change `spec.resources`, `spec.memory.limit`, `spec.template` or `spec.rollout.capacity`.' },
  PodsNotCreated: { from: ['pod'], event: 'Warning',
    says: 'The API server refuses the pods of a Deployment: a quota, a LimitRange, Pod Security or a webhook.',
    todo: 'Change the fields that the message names, or the limit of the namespace.' },
  ApplyFailed: { from: ['pod'], event: 'Warning', says: 'The operator cannot write an object of the model.',
    todo: 'Correct the problem that the message names; the operator retries automatically.' },
  PodFailed: { from: ['pod'], event: 'Warning', says: 'A pod failed as a whole, for example because it was evicted.',
    todo: 'Check the node. The Deployment creates another pod.' },
  DigestMismatch: { from: ['pod'], in: ['ArtifactReady'], event: 'Warning',
    says: 'The fetched files do not have the expected digest.',
    todo: 'Correct `spec.model.digest`, or restore the expected files.' },
  InvalidModel: { from: ['pod'], in: ['ArtifactReady'], event: 'Warning',
    says: 'The file is not a model that the runtime can serve.',
    todo: 'Export the model again; the message names the problem.' },
  SourceInvalid: { from: ['pod'], in: ['ArtifactReady'], event: 'Warning',
    says: 'The URI cannot be used, or its file is larger than the limit.', todo: 'Correct `spec.model.uri`.' },
  SourceMissing: { from: ['pod'], in: ['ArtifactReady'], event: 'Warning', says: 'The URI does not exist.',
    todo:
      'Upload the model, or correct `spec.model.uri`. Pods retry until `spec.rollout.progressDeadline`.' },
  SourceUnavailable: { from: ['pod'], in: ['ArtifactReady'], event: 'Warning',
    says: 'The source did not answer, or the transfer was interrupted.',
    todo: 'Check the source and the network. Pods retry until `spec.rollout.progressDeadline`.' },
  ModelTooLarge: { from: ['pod'], in: ['ArtifactReady'], event: 'Warning',
    says: 'The model and one run of it need more memory than the limit.',
    todo: 'Raise `spec.memory.limit`, or serve a smaller model or precision.' },
  PrecisionMissing: { from: ['pod'], in: ['ArtifactReady'], event: 'Warning',
    says: 'The model has no file of the requested precision.',
    todo: 'Add it to `spec.model.variants`, or change `spec.execution.precision`.' },
  ProviderUnavailable: { from: ['pod'], event: 'Warning', says: 'The image or the node lacks the execution provider.',
    todo: 'Change `spec.execution.providers`, `spec.runtime.image` or the nodes of `spec.template`.' },
  LoadFailed: { from: ['pod'], event: 'Warning',
    says: 'ONNX Runtime cannot load the model, or the runtime ended with another error code.',
    todo:
      'Read the message. Often this version of ONNX Runtime does not support an operator or the opset of the model.' },
  WarmupTimeout: { from: ['pod'], event: 'Warning', says: 'Warm-up took longer than its timeout.',
    todo: 'Raise `spec.warmup.timeout`, or check that one run of the model finishes.' },
  PrepareFailed: { from: ['pod'], in: ['ArtifactReady'], event: 'Warning',
    says: 'The init container `prepare` failed with another error.',
    todo: "Read the container's termination message, which the condition's message quotes, and its log." },

  ChecksPassed: { from: ['check'], event: 'Silent', says: 'All checks before traffic have passed.', todo: 'Nothing.' },
  ReportMissing: { from: ['check'], event: 'Silent', says: 'A pod has not reported yet.',
    todo: 'Wait; if it lasts, check that the operator can reach the report port of the pod.' },
  ChecksRunning: { from: ['check'], event: 'Silent',
    says: 'The operator checks the candidate with generated inputs.', todo: 'Wait.' },
  GoldenWaiting: { from: ['check'], event: 'Silent', says: 'The golden set has not been run yet on every pod.',
    todo: 'Wait; the message gives the reason.' },
  SignatureChanged: { from: ['check'], event: 'Warning',
    says: "Inputs or outputs differ from the stable revision's.",
    todo: 'Serve the model under another name, or change `spec.model.schemaPolicy` if all clients accept the change.' },
  ProviderFallback: { from: ['check'], event: 'Warning',
    says: 'A provider other than the first one runs a part of the graph.',
    todo: 'Change the model or `spec.execution.providers`, or allow it with `spec.execution.fallbackPolicy`.' },
  GoldenFailed: { from: ['check'], event: 'Warning',
    says: 'The answers to the golden set or to generated inputs differ too much from the expected ones.',
    todo: 'Check the model; if the new answers are intended, set `spec.rollout.gates.golden` to your own golden set.' },
  GoldenSetMissing: { from: ['check', 'pod'], event: 'Warning',
    says: 'The ConfigMap of the golden set does not exist, or has no key for it.',
    todo: 'Create the ConfigMap of `spec.rollout.gates.golden.configMapRef`. The operator retries every 5 seconds.' },
  GoldenSetInvalid: { from: ['check', 'pod'], event: 'Warning', says: 'The golden set cannot be read or run.',
    todo: 'Correct the set, or `spec.rollout.gates.golden`.' },

  LatencyGateFailed: { from: ['gate'], event: 'Warning', says: 'The candidate is slower than the gate allows.',
    todo: 'Compare the bounds in the message with `spec.rollout.gates.latency`; fix the model, or raise the limit.' },
  ErrorsGateFailed: { from: ['gate'], event: 'Warning', says: 'The candidate fails more requests than the gate allows.',
    todo: "Read the candidate's log; fix the model, or change `spec.rollout.gates.errors`." },
  QualityGateFailed: { from: ['gate'], event: 'Warning',
    says: "The candidate's answers to live requests agree too rarely with stable's.",
    todo: 'Check the model, or change `spec.rollout.gates.quality`.' },

  RevisionCreated: { from: ['rollout'], event: 'Normal', says: 'A rollout of a new revision begins.',
    todo: 'Nothing.' },
  RevisionStarting: { from: ['rollout'], event: 'Silent', says: "The candidate's pods start and fetch the model.",
    todo: 'Wait.' },
  RevisionWarming: { from: ['rollout'], event: 'Silent',
    says: "The model is fetched; the candidate's pods load it and warm up.", todo: 'Wait.' },
  RevisionReverted: { from: ['rollout'], event: 'Normal',
    says: 'The spec changed back to the stable revision; the candidate is dropped.', todo: 'Nothing.' },
  RevisionSuperseded: { from: ['rollout'], event: 'Normal',
    says: 'The spec changed again; the newer revision replaces the candidate.', todo: 'Nothing.' },
  WeightMoving: { from: ['rollout'], event: 'Normal', says: 'The traffic moves to the weight of the step.',
    todo: 'Wait; the message names the pods or the route that are not ready.' },
  Analyzing: { from: ['rollout'], event: 'Normal', says: 'The gates judge the candidate.',
    todo: 'Wait; the message says what is still needed.' },
  StepsChanged: { from: ['rollout'], event: 'Normal',
    says: '`spec.rollout.steps` changed; the rollout keeps its weight and continues with the new steps.',
    todo: 'Nothing.' },
  PausedManually: { from: ['rollout'], event: 'Normal', says: '`spec.rollout.paused` holds the rollout.',
    todo: '`kubectl-onnx resume`, or remove the field.' },
  PausedByStep: { from: ['rollout'], event: 'Normal', says: 'The rollout reached a pause step.',
    todo: '`kubectl-onnx resume`, or wait for the end of its duration.' },
  Resumed: { from: ['rollout'], event: 'Normal', says: 'A pause ended.', todo: 'Nothing.' },
  Undecided: { from: ['rollout'], event: 'Warning',
    says: 'The `maxDuration` of an analyze or shadow step passed, and a gate is still undecided.',
    todo:
      'Send more requests; or `kubectl-onnx resume`, `promote` or `abort`. `spec.rollout.onUndecided` can decide ' +
      'automatically.' },
  ReportsStale: { from: ['rollout'], event: 'Warning',
    says: 'No pod of a revision has reported for a minute, so the gates cannot judge.',
    todo: 'Check the sidecars, and the network between the operator and the pods.' },
  StableUnhealthy: { from: ['rollout'], event: 'Warning',
    says: 'The stable revision has no ready pod, or exceeds an absolute limit.',
    todo: 'Repair the stable revision, or `kubectl-onnx promote`.' },
  WeightConflict: { from: ['rollout'], event: 'Warning',
    says: 'Another writer repeatedly changes the weights of the route.',
    todo: 'Find the writer in the `managedFields` of the HTTPRoute, and stop it.' },
  CandidateUnavailable: { from: ['rollout'], event: 'Warning',
    says: 'The new revision has no ready pod; the old one serves.', todo: 'Check the pods of the new revision.' },
  Aborted: { from: ['rollout'], event: 'Normal',
    says: 'The candidate was given up because of `spec.rollout.abortRevision`.',
    todo: '`kubectl-onnx retry` starts another attempt.' },
  RollingBack: { from: ['rollout'], event: 'Silent', says: 'Traffic goes back to the stable revision.',
    todo: 'Wait; the message gives the cause.' },
  Retried: { from: ['rollout'], event: 'Normal', says: 'A new attempt of a revision that was given up begins.',
    todo: 'Nothing.' },
  PromotedByRequest: { from: ['rollout'], event: 'Normal',
    says: '`spec.rollout.promoteRevision` gives the candidate all the traffic.', todo: 'Nothing.' },
  Waking: { from: ['rollout'], event: 'Normal',
    says: 'The checks begin for a revision that became stable while the model had no pods.',
    todo: 'Nothing.' },
  LateRollback: { from: ['rollout'], event: 'Warning',
    says: 'The pods of the new stable revision did not stay ready; the old revision serves again.',
    todo: 'Check the pods of the new revision, then change the spec or `kubectl-onnx retry`.' },
  ProgressDeadlineExceeded: { from: ['rollout'], event: 'Warning',
    says: "The candidate's pods were not ready within the deadline.",
    todo: 'Check its pods, or raise `spec.rollout.progressDeadline`.' },
  WeightDrift: { from: ['rollout'], event: 'Warning',
    says: 'Another writer changed the HTTPRoute, and the operator restored it. This reason appears only in an Event.',
    todo: 'Find the writer in the `managedFields` of the HTTPRoute.' },
  Draining: { from: ['rollout'], event: 'Silent', says: 'The new revision serves; the old one finishes its requests.',
    todo: 'Nothing.' },

  Promoted: { from: ['promotion'], event: 'Milestone',
    says: 'The revision became stable; no check or gate was skipped.', todo: 'Nothing.' },
  Pinned: { from: ['promotion', 'rest'], event: 'Milestone',
    says: '`spec.rollout.pinRevision` decides which revision serves.',
    todo: '`kubectl-onnx unpin` ends it.' },
  Asleep: { from: ['promotion'], event: 'Silent', says: 'The revision became stable while `spec.replicas` was 0.',
    todo: 'Nothing; its checks run when the model has pods.' },
  Woken: { from: ['promotion'], event: 'Milestone',
    says: 'A revision that became stable at zero replicas has passed its checks before traffic.', todo: 'Nothing.' },
  Forced: { from: ['promotion'], event: 'Warning',
    says: '`spec.rollout.promoteRevision` made the revision stable; its remaining checks and gates were skipped.',
    todo: 'Watch it.' },
  ResumedUndecided: { from: ['promotion'], event: 'Warning',
    says: '`spec.rollout.resumeStep` ended a wait before the gates had decided.', todo: 'Watch it.' },
  PromotedUndecided: { from: ['promotion'], event: 'Warning',
    says: '`spec.rollout.onUndecided` is Promote, and the gates had not decided.',
    todo: 'Watch the revision; give the gates of the next rollout more traffic or time.' },
  StableLost: { from: ['promotion'], event: 'Warning',
    says:
      'The stable revision had no ready pod or exceeded an absolute limit; gates that compare with it were skipped.',
    todo: 'Watch it.' },

  UpToDate: { from: ['rest'], event: 'Silent', says: 'The wanted revision serves with all its pods.',
    todo: 'Nothing.' },
  ScaledToZero: { from: ['rest'], event: 'Silent', says: '`spec.replicas` is 0.', todo: 'Scale it up to serve.' },
  Scaling: { from: ['rest'], event: 'Silent', says: 'Some pods are ready, but not all.',
    todo: 'Wait; if it lasts, check the pods.' },
  NoReadyPods: { from: ['rest', 'rollout'], in: ['Available'], event: 'Warning',
    says: 'No pod is ready, so requests fail.', todo: 'Check the pods.' },

  RouteMoving: { from: ['route'], in: ['RouteReady'], event: 'Silent',
    says: 'The traffic does not match the decision yet.',
    todo: 'Wait; if it lasts, correct the Service or route that the message names.' },
  RouteNotAccepted: { from: ['route'], in: ['RouteReady'], event: 'Warning',
    says: 'No Gateway has accepted the HTTPRoute or its weights.',
    todo: "Correct `spec.traffic.parentRefs` or the Gateway; the message has the Gateway's status." },
  GatewayApiMissing: { from: ['route'], in: ['RouteReady'], event: 'Warning',
    says: 'The cluster does not have the HTTPRoute API, or the operator may not use it.',
    todo: 'Install the Gateway API, grant the operator access, or set `spec.traffic.router` to Service.' },

  Serving: { from: ['condition'], in: ['Available'], says: 'The revision serves.', todo: 'Nothing.' },
  NotSelected: { from: ['condition'], in: ['Available'],
    says: 'Pods are ready, but the entry Service does not select them.',
    todo: 'Find the writer in the `managedFields` of the Service; the operator restores the selector.' },
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
    todo: 'Expect higher latency; `spec.execution.fallbackPolicy: Forbid` refuses such a revision.' },
  Selected: { from: ['condition'], in: ['RouteReady'], says: 'One revision gets all the traffic, as decided.',
    todo: 'Nothing.' },
  Shared: { from: ['condition'], in: ['RouteReady'], says: 'Two revisions share the traffic, as decided.',
    todo: 'Nothing.' },
  ForeignFields: { from: ['condition'], in: ['ChildrenModified'],
    says: 'Another writer added fields to objects of the operator, and the operator leaves them.',
    todo: 'Remove them if they are not wanted; the message names the field and the manager.' },

  TooFewRequests: { from: ['verdict'], says: 'A revision got too few requests for a verdict.',
    todo: 'Send more requests, or wait.' },
  Uncertain: { from: ['verdict'],
    says: 'The limit is between the bounds, the noise is not known yet, or the candidate is still getting faster.',
    todo: 'Wait for more requests or minutes.' },
  OneWindow: { from: ['verdict'], says: 'The verdict depends on a few outlier seconds.',
    todo: 'Check those seconds, or wait.' },
  LoadUnequal: { from: ['verdict'],
    says: 'Pods of the two revisions have unequal load, so their latencies cannot be compared.',
    todo: 'Follow the message; usually, change the number of pods.' },

  NotObserved: { from: ['client'], says: 'The operator has not observed the present spec.',
    todo: 'Wait; if it lasts, check that the operator is running.' },
  NoReadyCondition: { from: ['client'], says: 'The model has no Ready condition for the present spec.',
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

/**
 * Conditions that show the reason of the latest decision. ModelLoaded shows the reason only after a candidate was given
 * up.
 */
export const decisionConditions = [
  'Ready',
  'Reconciling',
  'Stalled',
  'Paused',
  'ModelLoaded',
] as const satisfies readonly ConditionType[];

/** The reasons that name this condition in `in`. */
type ReasonOf<T extends ConditionType> = {
  [R in Reason]: Rows[R] extends { readonly in: readonly (infer C)[] } ? (T extends C ? R : never) : never;
}[Reason];
/** The reasons that a condition may show. */
export type ReasonIn<T extends ConditionType> =
  ReasonOf<T> | (T extends (typeof decisionConditions)[number] ? DecisionReason : never);

/** Whether the table lists the reason for this condition. False for an unknown reason of another version. */
export function isReasonOf<T extends ConditionType>(type: T, reason: string): reason is ReasonOf<T> {
  return ownValue<Row>(reasons, reason)?.in?.includes(type) === true;
}

/** The class of a reason. `Warning` for an unknown reason, which a status of another version may have. */
export function eventClassOf(reason: string): EventClass {
  return ownValue<Row>(reasons, reason)?.event ?? 'Warning';
}
