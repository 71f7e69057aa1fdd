/**
 * The reasons that the operator gives, and what becomes of each as an Event.
 *
 * Owns: the closed table. A reason is spelled alike in a condition, an Event, the log and a test. `Warning` and
 *       `Milestone` Events are never dropped; `Normal` ones have a budget for each model
 *       (operator/kube/event-rules.ts); a `Silent` reason is read in the status, and is no Event.
 * Pure.
 */

export type EventClass = 'Warning' | 'Milestone' | 'Normal' | 'Silent';

export const reasons = {
  // what is wrong with a pod, or with making one
  ImagePullBackOff: 'Warning',
  InvalidImageName: 'Warning',
  ContainerConfigError: 'Warning',
  OOMKilled: 'Warning',
  CrashLoopBackOff: 'Warning',
  Unschedulable: 'Warning',
  PodsNotCreated: 'Warning',
  PodFailed: 'Warning',
  DigestMismatch: 'Warning',
  InvalidModel: 'Warning',
  SourceInvalid: 'Warning',
  SourceMissing: 'Warning',
  SourceUnavailable: 'Warning',
  ModelTooLarge: 'Warning',
  PrecisionMissing: 'Warning',
  ProviderUnavailable: 'Warning',
  LoadFailed: 'Warning',
  WarmupTimeout: 'Warning',
  PrepareFailed: 'Warning',
  NoReadyPods: 'Warning',
  ApplyFailed: 'Warning',
  // checks before traffic
  ChecksPassed: 'Silent',
  ReportMissing: 'Silent',
  ChecksRunning: 'Silent',
  GoldenWaiting: 'Silent',
  SignatureChanged: 'Warning',
  ProviderFallback: 'Warning',
  GoldenFailed: 'Warning',
  GoldenSetMissing: 'Warning',
  GoldenSetInvalid: 'Warning',
  // gates under traffic
  LatencyGateFailed: 'Warning',
  ErrorsGateFailed: 'Warning',
  QualityGateFailed: 'Warning',
  // the course of a rollout
  RevisionCreated: 'Normal',
  RevisionStarting: 'Silent',
  RevisionWarming: 'Silent',
  RevisionReverted: 'Normal',
  RevisionSuperseded: 'Normal',
  WeightMoving: 'Normal',
  Analyzing: 'Normal',
  StepsChanged: 'Normal',
  PausedManually: 'Normal',
  PausedByStep: 'Normal',
  Resumed: 'Normal',
  Undecided: 'Warning',
  ReportsStale: 'Warning',
  StableUnhealthy: 'Warning',
  WeightConflict: 'Warning',
  CandidateUnavailable: 'Warning',
  Aborted: 'Normal',
  RollingBack: 'Silent',
  Retried: 'Normal',
  PromotedByRequest: 'Normal',
  Waking: 'Normal',
  LateRollback: 'Warning',
  ProgressDeadlineExceeded: 'Warning',
  // how a revision became stable (operator/rollout/provenance.ts)
  Promoted: 'Milestone',
  Pinned: 'Milestone',
  Asleep: 'Milestone',
  Woken: 'Milestone',
  Forced: 'Warning',
  ResumedUndecided: 'Warning',
  PromotedUndecided: 'Warning',
  StableLost: 'Warning',
  // traffic
  RouteMoving: 'Silent',
  Draining: 'Silent',
  RouteNotAccepted: 'Warning',
  GatewayApiMissing: 'Warning',
  WeightDrift: 'Warning',
  // at rest
  UpToDate: 'Silent',
  ScaledToZero: 'Silent',
  Scaling: 'Silent',
} as const satisfies Readonly<Record<string, EventClass>>;

export type Reason = keyof typeof reasons;
