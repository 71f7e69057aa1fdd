/** What the operator's bench reads from /proc. */
import assert from 'node:assert/strict';
import { cpuSecondsIn, mebibytesIn, sessionIn, sessionOf, usageOf } from '../../../../bench/operator/usage.ts';

const stat = '12 (a b) c) S 1 12 34 0 -1 4194560 1 0 0 0 150 50 0 0 20 0';

describe('usage of processes', () => {
  it('adds user and system time, also for a name with brackets and spaces', () => assert.equal(cpuSecondsIn(stat), 2));

  it('reads the session', () => assert.equal(sessionIn(stat), 34));

  it('a process that has ended used nothing and has no session', () =>
    assert.deepEqual([cpuSecondsIn(''), sessionIn('')], [0, undefined]));

  it('reads memory in MiB', () => assert.equal(mebibytesIn('VmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n', 'VmRSS'), 1));

  it('a missing field of memory is 0', () => assert.equal(mebibytesIn('Name:\tx\n', 'VmHWM'), 0));

  it('adds up this process and one that does not exist', function () {
    if (process.platform !== 'linux') this.skip();
    const usage = usageOf([process.pid, 2 ** 30]);
    assert.ok(usage.rssMiB > 10 && usage.peakMiB >= usage.rssMiB && usage.cpuSeconds > 0);
  });

  it('finds no process of a session that does not exist', function () {
    if (process.platform !== 'linux') this.skip();
    assert.deepEqual(sessionOf(2 ** 30), []);
  });
});
