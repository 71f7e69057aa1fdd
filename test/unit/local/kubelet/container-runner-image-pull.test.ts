import assert from 'node:assert/strict';
import type { ContainerPhase } from '../../../../local/kubelet/container-record.ts';
import { nextPullStep } from '../../../../local/kubelet/container-runner.ts';

describe('nextPullStep', () => {
  it('alternates between an attempt and a wait that doubles up to its limit', () => {
    let phase: ContainerPhase = { kind: 'new' };
    let attempts = 0;
    const seen: (readonly [string, number])[] = [];
    for (let turn = 0; turn < 8; turn += 1) {
      const step = nextPullStep(phase, 'app:1', 'not found', { attempts, limits: { baseMs: 10_000, maxMs: 30_000 } });
      if (step.attempted) attempts += 1;
      phase = { kind: 'blocked', reason: step.reason, message: step.message, retryAtMs: 0 };
      seen.push([step.reason, step.waitMs]);
    }
    const wait = (ms: number): (readonly [string, number])[] => [
      ['ErrImagePull', 1000],
      ['ImagePullBackOff', ms],
    ];
    assert.deepEqual(seen, [...wait(10_000), ...wait(20_000), ...wait(30_000), ...wait(30_000)]);
  });
});
