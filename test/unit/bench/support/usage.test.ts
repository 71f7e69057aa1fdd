/** What the benches read from /proc. */
import assert from 'node:assert/strict';
import {
  cpuSecondsIn,
  mebibytesIn,
  parentIn,
  sessionIn,
  sessionOf,
  treeIn,
  treeOf,
  usageOf,
} from '../../../../bench/support/usage.ts';

const stat = '12 (a b) c) S 1 12 34 0 -1 4194560 1 0 0 0 150 50 0 0 20 0';

describe('usage of processes', () => {
  it('adds user and system time, also for a name with brackets and spaces', () => assert.equal(cpuSecondsIn(stat), 2));

  it('reads the session', () => assert.equal(sessionIn(stat), 34));

  it('reads the parent', () => assert.equal(parentIn(stat), 1));

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

  it('a tree has all generations, and the rest of the session of the root', () => {
    const processes = [
      { pid: 4, parent: 3, session: 3 },
      { pid: 2, parent: 1, session: 2 },
      { pid: 3, parent: 2, session: 3 },
      { pid: 5, parent: 1, session: 2 },
      { pid: 6, parent: 1, session: 6 },
      { pid: 7, parent: undefined, session: undefined },
    ];
    assert.deepEqual(new Set(treeIn(2, processes)), new Set([2, 3, 4, 5]));
  });

  it('this process is in its own tree', function () {
    if (process.platform !== 'linux') this.skip();
    assert.ok(treeOf(process.pid).includes(process.pid));
  });
});
