/** Limits from files of cgroup versions 1 and 2, also when groups are nested or files are missing. */
import assert from 'node:assert/strict';
import {
  parseCpuMax,
  readCgroupMemory,
  readLimits,
  readThrottledSeconds,
  type CgroupLimits,
} from '../../../../runtime/config/cgroup.ts';

type Row = { readonly name: string; readonly files: Readonly<Record<string, string>>; readonly want: CgroupLimits };

const rows: readonly Row[] = [
  { name: 'nothing without a cgroup', files: {}, want: {} },
  {
    name: 'v2: a quota and a limit, in a container with its own cgroup namespace',
    files: {
      '/proc/self/cgroup': '0::/\n',
      '/sys/fs/cgroup/cpu.max': '150000 100000\n',
      '/sys/fs/cgroup/memory.max': '536870912\n',
    },
    want: { cpuQuota: 1.5, memoryBytes: 536_870_912 },
  },
  {
    name: 'v2: no limit',
    files: {
      '/proc/self/cgroup': '0::/\n',
      '/sys/fs/cgroup/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/memory.max': 'max\n',
    },
    want: {},
  },
  {
    name: 'v2: half a CPU',
    files: { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '50000 100000\n' },
    want: { cpuQuota: 0.5 },
  },
  {
    name: 'v2: the smallest limit of the group and its parents',
    files: {
      '/proc/self/cgroup': '0::/kubepods/pod1/abc\n',
      '/sys/fs/cgroup/kubepods/pod1/abc/cpu.max': '400000 100000',
      '/sys/fs/cgroup/kubepods/pod1/cpu.max': '200000 100000',
      '/sys/fs/cgroup/kubepods/cpu.max': 'max 100000',
      '/sys/fs/cgroup/kubepods/pod1/memory.max': '1000',
      '/sys/fs/cgroup/kubepods/pod1/abc/memory.max': '2000',
    },
    want: { cpuQuota: 2, memoryBytes: 1000 },
  },
  {
    name: 'v2: a path that leads out of the mount',
    files: { '/proc/self/cgroup': '0::/../other\n', '/sys/fs/cgroup/cpu.max': '100000 100000' },
    want: { cpuQuota: 1 },
  },
  {
    name: 'v1: quota and limit in their own hierarchies',
    files: {
      '/proc/self/cgroup': '4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n',
      '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us': '250000\n',
      '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us': '100000\n',
      '/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes': '1073741824\n',
    },
    want: { cpuQuota: 2.5, memoryBytes: 2 ** 30 },
  },
  {
    name: 'v1: a container whose path is not mounted, but whose root is',
    files: {
      '/proc/self/cgroup': '4:memory:/docker/abc\n3:cpu:/docker/abc\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '100000',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '4096',
    },
    want: { cpuQuota: 1, memoryBytes: 4096 },
  },
  {
    name: 'v1: no limit',
    files: {
      '/proc/self/cgroup': '4:memory:/\n3:cpu:/\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712',
    },
    want: {},
  },
  {
    name: 'both: v2 for one, v1 for the other',
    files: {
      '/proc/self/cgroup': '4:memory:/a\n0::/\n',
      '/sys/fs/cgroup/memory/a/memory.limit_in_bytes': '100',
      '/sys/fs/cgroup/cpu.max': '100000 50000',
    },
    want: { cpuQuota: 2, memoryBytes: 100 },
  },
  {
    name: 'nothing in invalid files',
    files: {
      '/proc/self/cgroup': 'nonsense\n0::/\n',
      '/sys/fs/cgroup/cpu.max': 'a b',
      '/sys/fs/cgroup/memory.max': '',
    },
    want: {},
  },
];

describe('readLimits', () => {
  for (const { name, files, want } of rows)
    it(`finds ${name}`, () =>
      assert.deepEqual(
        readLimits((path) => files[path]),
        want,
      ));
});

describe('parseCpuMax', () => {
  it('returns undefined for a period of 0', () => assert.equal(parseCpuMax('100 0'), undefined));
});

describe('readThrottledSeconds', () => {
  it('reads microseconds of v2', () =>
    assert.equal(
      readThrottledSeconds(
        (path) =>
          ({ '/proc/self/cgroup': '0::/', '/sys/fs/cgroup/cpu.stat': 'usage_usec 5\nthrottled_usec 1500000\n' })[path],
      ),
      1.5,
    ));
  it('reads nanoseconds of v1', () =>
    assert.equal(
      readThrottledSeconds(
        (path) =>
          ({
            '/proc/self/cgroup': '3:cpu:/',
            '/sys/fs/cgroup/cpu/cpu.stat': 'nr_throttled 2\nthrottled_time 2500000000\n',
          })[path],
      ),
      2.5,
    ));
  it('returns undefined when the kernel does not report it', () =>
    assert.equal(
      readThrottledSeconds(() => undefined),
      undefined,
    ));
});

describe('readCgroupMemory', () => {
  // prettier-ignore
  const memories = [
    { name: 'v2: limit, use, events and pressure',
      files: { '/proc/self/cgroup': '0::/\n',
        '/sys/fs/cgroup/memory.max': '536870912\n',
        '/sys/fs/cgroup/memory.current': '268435456\n',
        '/sys/fs/cgroup/memory.events': 'low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\n',
        '/sys/fs/cgroup/memory.pressure':
          'some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n' +
          'full avg10=0.00 avg60=0.00 avg300=0.00 total=250000\n' },
      want: { maxBytes: 2 ** 29, currentBytes: 2 ** 28, limitHits: 7, killed: 1, someSeconds: 1.5,
        fullSeconds: 0.25 } },
    { name: 'v1: limit, use and hits, without pressure',
      files: { '/proc/self/cgroup': '4:memory:/docker/abc\n',
        '/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes': '1073741824\n',
        '/sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes': '1048576\n',
        '/sys/fs/cgroup/memory/docker/abc/memory.failcnt': '3\n' },
      want: { maxBytes: 2 ** 30, currentBytes: 2 ** 20, limitHits: 3 } },
    { name: 'v2: without a limit', files: { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': 'max\n' },
      want: {} },
    { name: 'v2: the innermost group that reports', files: { '/proc/self/cgroup': '0::/pod/a\n',
      '/sys/fs/cgroup/pod/memory.current': '200', '/sys/fs/cgroup/pod/a/memory.current': '100' },
      want: { currentBytes: 100 } },
    { name: 'nothing without a cgroup', files: {}, want: {} },
  ];
  for (const { name, files, want } of memories)
    it(`reads ${name}`, () =>
      assert.deepEqual(
        readCgroupMemory((path) => (files as Readonly<Record<string, string>>)[path]),
        want,
      ));
});
