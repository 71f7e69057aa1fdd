import assert from 'node:assert/strict';
import { describeEnd } from '../../../../local/kubelet/container-process.ts';

describe('describeEnd', () => {
  // prettier-ignore
  const rows: readonly (readonly [string, Parameters<typeof describeEnd>, ReturnType<typeof describeEnd>])[] = [
    ['is Completed with 0', [0, null, false], { exitCode: 0, signal: undefined, reason: 'Completed' }],
    ['is an Error with any other code', [3, null, false], { exitCode: 3, signal: undefined, reason: 'Error' }],
    ['is 128 plus the number of a signal', [null, 'SIGTERM', false], { exitCode: 143, signal: 15, reason: 'Error' }],
    ['is OOMKilled when the kernel killed it for memory', [null, 'SIGKILL', true],
      { exitCode: 137, signal: 9, reason: 'OOMKilled' }],
    ['is an Error when it was killed for another reason',
      [null, 'SIGKILL', false], { exitCode: 137, signal: 9, reason: 'Error' }],
    ['is its own exit code when only a child was killed for memory',
      [1, null, true], { exitCode: 1, signal: undefined, reason: 'Error' }],
    ['is OOMKilled when its shell reports the kill', [137, null, true],
      { exitCode: 137, signal: undefined, reason: 'OOMKilled' }],
  ];
  for (const [name, given, want] of rows) it(name, () => assert.deepEqual(describeEnd(...given), want));
});
