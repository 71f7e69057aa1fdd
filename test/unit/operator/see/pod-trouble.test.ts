/** Trouble: which problem of a pod, or of creating one, the operator reports, and whether a retry can help. */
import assert from 'node:assert/strict';
import { codes } from '../../../../api/error-codes.ts';
import { printLastWords } from '../../../../api/last-words.ts';
import type { ContainerStatus, Pod } from '../../../../kube/kinds.ts';
import { podsRefused, troubleOf, worstTrouble } from '../../../../operator/see/pod-trouble.ts';

type Status = NonNullable<Pod['status']>;
const pod = (status: Status): Pod => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, status });
const runtime = (more: Partial<ContainerStatus>): Status => ({
  containerStatuses: [{ name: 'runtime', ready: false, restartCount: 0, ...more }],
});
const prepare = (more: Partial<ContainerStatus>): Status => ({
  initContainerStatuses: [{ name: 'prepare', ready: false, restartCount: 0, ...more }],
});
const said = (code: string, message: string): string => printLastWords({ kind: 'failed', code, message });

// prettier-ignore
const rows: readonly { name: string; status: Status;
  want: { reason: string; fatal: boolean; message?: RegExp } | undefined }[] = [
  { name: 'no trouble for a running pod', status: runtime({ ready: true, state: { running: {} } }), want: undefined },
  { name: 'no trouble for a pod that is being created',
    status: prepare({ state: { waiting: { reason: 'PodInitializing' } } }), want: undefined },
  { name: 'no trouble for a container that is ready after one restart',
    status: runtime({ ready: true, restartCount: 1, state: { running: {} },
      lastState: { terminated: { exitCode: 1 } } }), want: undefined },
  { name: 'an image that cannot be pulled',
    status: prepare({ state: { waiting: { reason: 'ErrImagePull', message: 'not found' } } }),
    want: { reason: 'ImagePullBackOff', fatal: false, message: /not found/ } },
  { name: 'an invalid image name as fatal', status: prepare({ state: { waiting: { reason: 'InvalidImageName' } } }),
    want: { reason: 'InvalidImageName', fatal: true } },
  { name: 'a container that cannot be created',
    status: prepare({ state: { waiting: { reason: 'CreateContainerConfigError', message: 'secret "s" not found' } } }),
    want: { reason: 'ContainerConfigError', fatal: false, message: /secret "s"/ } },
  { name: 'a digest mismatch as fatal at the first exit',
    status: prepare({ state: { terminated: { exitCode: 2, message: said('DIGEST_MISMATCH', 'other bytes') } } }),
    want: { reason: 'DigestMismatch', fatal: true, message: /other bytes/ } },
  { name: 'the termination message of a container in back-off',
    status: prepare({ restartCount: 3, state: { waiting: { reason: 'CrashLoopBackOff' } },
      lastState: { terminated: { exitCode: 4, message: said('SOURCE_UNAVAILABLE', 'timed out') } } }),
    want: { reason: 'SourceUnavailable', fatal: false, message: /timed out/ } },
  { name: 'a model that cannot be loaded', status: runtime(
      { state: { terminated: { exitCode: 2, message: said('ENGINE_LOAD_FAILED',
      'opset 99') } } }), want: { reason: 'LoadFailed', fatal: true, message: /opset 99/ } },
  { name: 'a first OOM kill as not fatal',
    status: runtime({ state: { terminated: { exitCode: 137, reason: 'OOMKilled' } } }),
    want: { reason: 'OOMKilled', fatal: false, message: /terminations so far: 1$/ } },
  { name: 'a second OOM kill as fatal',
    status: runtime({ restartCount: 1, state: { terminated: { exitCode: 137, reason: 'OOMKilled' } } }),
    want: { reason: 'OOMKilled', fatal: true, message: /\(spec\.memory\.limit\); terminations so far: 2$/ } },
  { name: 'one OOM kill after a crash, without a claim of two kills',
    status: runtime({ restartCount: 1, state: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
      lastState: { terminated: { exitCode: 1 } } }),
    want: { reason: 'OOMKilled', fatal: true, message: /^runtime was killed for .*; terminations so far: 2$/ } },
  { name: 'an OOM kill in back-off, where the restart has not followed yet',
    status: runtime({ restartCount: 1, state: { waiting: { reason: 'CrashLoopBackOff' } },
      lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } } }),
    want: { reason: 'OOMKilled', fatal: true, message: /terminations so far: 2$/ } },
  { name: 'one OOM kill of a container that runs again',
    status: runtime({ restartCount: 1, state: { running: {} },
      lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } } }),
    want: { reason: 'OOMKilled', fatal: false, message: /terminations so far: 1$/ } },
  { name: 'the resources of the sidecar for an OOM kill of the sidecar',
    status: runtime({ name: 'sidecar', state: { terminated: { exitCode: 137, reason: 'OOMKilled' } } }),
    want: { reason: 'OOMKilled', fatal: false, message: /sidecar .*\(spec\.runtime\.sidecar\.resources\)/ } },
  { name: 'a crash without an error code, from the log',
    status: runtime({ state: { terminated: { exitCode: 134, message: 'line\nterminate called after throwing' } } }),
    want: { reason: 'CrashLoopBackOff', fatal: false, message: /terminate called/ } },
  { name: 'a second crash as not fatal', status: runtime(
      { restartCount: 1, state: { waiting: { reason: 'CrashLoopBackOff' } },
      lastState: { terminated: { exitCode: 1 } } }),
    want: { reason: 'CrashLoopBackOff', fatal: false, message: /exited with code 1; terminations so far: 2$/ } },
  { name: 'a third crash as fatal', status: runtime(
      { restartCount: 2, state: { waiting: { reason: 'CrashLoopBackOff' } },
      lastState: { terminated: { exitCode: 1 } } }), want: { reason: 'CrashLoopBackOff', fatal: true } },
  { name: 'a container that repeatedly exits with 0 before it is ready',
    status: runtime({ restartCount: 5, state: { waiting: { reason: 'CrashLoopBackOff' } },
      lastState: { terminated: { exitCode: 0 } } }),
    want: { reason: 'CrashLoopBackOff', fatal: true, message: /warmup\.timeout/ } },
  { name: 'no trouble for a container that exited once with 0',
    status: runtime({ restartCount: 1, state: { running: {} },
      lastState: { terminated: { exitCode: 0 } } }), want: undefined },
  { name: 'a termination by a signal', status: runtime({ state: { terminated: { exitCode: 139, signal: 11 } } }),
    want: { reason: 'CrashLoopBackOff', fatal: false, message: /signal 11/ } },
  { name: 'an error code of a later version', status: prepare(
      { state: { terminated: { exitCode: 1, message: said('CODE_OF_TOMORROW', 'new trouble') } } }),
    want: { reason: 'PrepareFailed', fatal: false, message: /new trouble/ } },
  { name: 'a stuck run as fatal by the number of exits',
    status: runtime({ restartCount: 1, lastState: {
      terminated: { exitCode: 137, message: said('RUN_STUCK', 'a run of m has not ended after 61 s') } } }),
    want: { reason: 'CrashLoopBackOff', fatal: false, message: /exited with code 137.*a run of m has not ended/ } },
  { name: 'an error code that is a property of every object',
    status: prepare({ state: { terminated: { exitCode: 1, message: said('constructor', 'no code') } } }),
    want: { reason: 'PrepareFailed', fatal: false, message: /no code/ } },
  { name: 'a pod that does not fit on any node', status: {
      conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable',
      message: '0/3 nodes are available' }] }, want: { reason: 'Unschedulable', fatal: false, message: /0\/3/ } },
  { name: 'an eviction', status: { phase: 'Failed', reason: 'Evicted', message: 'node was low on disk' },
    want: { reason: 'PodFailed', fatal: false, message: /low on disk/ } },
];

describe('troubleOf', () => {
  for (const { name, status, want } of rows) {
    it(`reports ${name}`, () => {
      const trouble = troubleOf(pod(status));
      if (want === undefined || trouble === undefined) {
        assert.equal(trouble, want);
        return;
      }
      assert.deepEqual({ reason: trouble.reason, fatal: trouble.fatal }, { reason: want.reason, fatal: want.fatal });
      assert.match(trouble.message, want.message ?? /./);
    });
  }

  const codesWithReason = Object.entries<{ readonly kind: string; readonly reason?: string }>(codes).filter(
    ([, { reason }]) => reason !== undefined,
  );
  for (const [code, { kind, reason }] of codesWithReason) {
    it(`reports ${code} as ${reason}`, () => {
      const found = troubleOf(pod(prepare({ state: { terminated: { exitCode: 1, message: said(code, 'words') } } })));
      assert.deepEqual(found, { reason, message: 'prepare: words', fatal: kind === 'invalid' });
    });
  }
  it('has a specific reason for each error that users can fix', () =>
    assert.deepEqual(
      codesWithReason.map(([, { reason = '' }]) => reason).toSorted((one, other) => (one < other ? -1 : 1)),
      [
        'DigestMismatch',
        'InvalidModel',
        'LoadFailed',
        'ModelTooLarge',
        'PrecisionMissing',
        'ProviderUnavailable',
        'SourceInvalid',
        'SourceInvalid',
        'SourceMissing',
        'SourceUnavailable',
        'WarmupTimeout',
      ],
    ));

  it('returns undefined for a pod without status', () =>
    assert.equal(troubleOf({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' } }), undefined));
});

describe('podsRefused', () => {
  // Messages that kube-controller-manager 1.35 writes.
  // prettier-ignore
  const rows: readonly (readonly [sentence: string, message: string, says: RegExp])[] = [
    ['names the fields behind a LimitRange',
      'pods "m-1" is forbidden: [minimum cpu usage per Container is 100m, but request is 10m, maximum memory ' +
        'usage per Container is 128Mi, but limit is 192Mi]',
      /192Mi\] \(set by a LimitRange .*spec\.runtime\.sidecar\.resources sets the resources of container sidecar\)$/],
    ['names the fields behind a ResourceQuota',
      'pods "m-1" is forbidden: exceeded quota: q, requested: requests.cpu=2, used: requests.cpu=1, limited: ' +
        'requests.cpu=2',
      /\(set by a ResourceQuota .*spec\.replicas/],
    ['does not change other messages', 'admission webhook "x" denied the request',
      /^admission webhook "x" denied the request$/],
    ['shortens the message to the limit of the status field',
      `pods "m-1" is forbidden: minimum cpu usage per Container is ${'9'.repeat(
        2000)}`, /^.{900,1000}$/],
  ];
  for (const [sentence, message, says] of rows) it(sentence, () => assert.match(podsRefused(message).message, says));
  it('is not fatal, because a limit of the namespace can be changed', () => {
    const { reason, fatal } = podsRefused('exceeded quota');
    assert.deepEqual([reason, fatal], ['PodsNotCreated', false]);
  });
});

describe('worstTrouble', () => {
  it('shortens messages of any length to the limit of the status field', () => {
    const long = { reason: 'Unschedulable', message: '\u{1f600}'.repeat(5000), fatal: false } as const;
    const message = worstTrouble([long])?.message ?? '';
    assert.ok(message.length <= 1000 && message.isWellFormed());
  });

  it('prefers a fatal trouble, and of several the latest', () => {
    const mild = { reason: 'Unschedulable', message: 'a', fatal: false } as const;
    const bad = { reason: 'OOMKilled', message: 'b', fatal: true } as const;
    assert.deepEqual(worstTrouble([undefined, mild, bad]), bad);
    assert.deepEqual(worstTrouble([mild, undefined]), mild);
    assert.equal(worstTrouble([undefined]), undefined);
    assert.deepEqual(
      worstTrouble([
        { ...bad, at: 1000 },
        { ...bad, at: 2000 },
      ])?.at,
      2000,
    );
  });

  it('contains the time when a container ended, if the kubelet reports it', () => {
    const end = { exitCode: 2, message: said('DIGEST_MISMATCH', 'other bytes'), finishedAt: '2026-01-02T03:04:05Z' };
    assert.equal(troubleOf(pod(prepare({ lastState: { terminated: end } })))?.at, Date.parse(end.finishedAt));
  });
});
