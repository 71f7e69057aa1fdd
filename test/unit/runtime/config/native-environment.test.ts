/**
 * A process that lacks environment variables for native libraries re-executes itself with them added. Variables that
 * the user has set are kept.
 */
import assert from 'node:assert/strict';
import { nativeEnvironment } from '../../../../api/names.ts';
import { missingEnvironment, nativeEnvironmentOf, thresholdIn } from '../../../../runtime/config/native-environment.ts';

const mib = 2 ** 20;
const raised = { MALLOC_TRIM_THRESHOLD_: '33554432', MALLOC_MMAP_THRESHOLD_: '33554432' };

describe('missingEnvironment', () => {
  // prettier-ignore
  const rows = [
    { name: 'all variables outside a pod', environment: {}, bytes: undefined, want: nativeEnvironment },
    { name: 'nothing in a pod', environment: nativeEnvironment, bytes: undefined, want: {} },
    { name: 'nothing in a pod when the usual thresholds were chosen', environment: nativeEnvironment, bytes: 4 * mib,
      want: {} },
    { name: 'other thresholds in a pod', environment: nativeEnvironment, bytes: 32 * mib, want: raised },
    { name: 'nothing after starting over', environment: { ...nativeEnvironment, ...raised }, bytes: 32 * mib,
      want: {} },
    { name: 'nothing when the user set thresholds', bytes: 32 * mib,
      environment: { ...nativeEnvironment, MALLOC_TRIM_THRESHOLD_: '131072', MALLOC_MMAP_THRESHOLD_: '65536' },
      want: {} },
    { name: 'what the user did not set', environment: { MALLOC_TRIM_THRESHOLD_: '131072' }, bytes: 32 * mib,
      want: { ORT_DISABLE_TELEMETRY: '1', MALLOC_MMAP_THRESHOLD_: '33554432' } },
  ];
  for (const { name, environment, bytes, want } of rows)
    it(`is ${name}`, () => {
      const missing = missingEnvironment(environment, bytes);
      assert.deepEqual(missing, want);
      assert.deepEqual(
        missingEnvironment({ ...environment, ...missing }, bytes),
        {},
        'a process starts over only once',
      );
    });
});

describe('nativeEnvironmentOf', () => {
  it('sets both thresholds', () =>
    assert.deepEqual(nativeEnvironmentOf(32 * mib), { ...nativeEnvironment, ...raised }));
});

describe('thresholdIn', () => {
  it('reads the threshold', () => assert.equal(thresholdIn(raised), 32 * mib));
  it('is null without one', () => assert.equal(thresholdIn({}), null));
});
