/** Limits of containers by control groups, and the memory that counts where control groups are not available. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { groupName, openCgroups } from '../../../../local/kubelet/cgroups.ts';
import { chargedBytes, residentBytes } from '../../../../local/kubelet/memory-watch.ts';

describe('openCgroups', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'onnx-cgroups-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('makes no group on an ordinary file system', () => {
    mkdirSync(join(root, 'memory'));
    writeFileSync(join(root, 'cgroup.controllers'), 'memory');
    const name = groupName(process.pid, 1);
    assert.equal(openCgroups('4:memory:/\n0::/\n', root, name), undefined);
    assert.equal(existsSync(join(root, name)), false);
    assert.equal(existsSync(join(root, 'memory', name)), false);
  });

  it('makes no group when we are not in a memory group', () =>
    assert.equal(openCgroups('1:cpu:/\n', root, groupName(1, 1)), undefined));

  it("enforces a container's limits where this machine allows it", function () {
    const groups = openCgroups(readFileSync('/proc/self/cgroup', 'utf8'), '/sys/fs/cgroup', groupName(process.pid, 2));
    // Skip when the process may not make control groups. The kubelet then uses the memory watch, which has its own
    // tests.
    if (groups === undefined) return this.skip();
    const group = groups.create('one', { memoryBytes: 64 * 2 ** 20, cpu: 0.5 });
    const [procs = ''] = group.procsFiles;
    assert.ok(existsSync(procs));
    const limit = readFileSync(
      join(procs, '..', groups.version === 1 ? 'memory.limit_in_bytes' : 'memory.max'),
      'utf8',
    ).trim();
    assert.equal(Number(limit), 64 * 2 ** 20);
    assert.equal(group.oomKills(), 0);
    group.remove();
    groups.remove();
    assert.equal(existsSync(procs), false);
  });
});

describe('chargedBytes', () => {
  it('adds anonymous memory, shared memory and swap', () => {
    const rollup =
      'Rss:  900 kB\nPss_Anon:     100 kB\nPss_File:   500 kB\nPss_Shmem:     20 kB\nSwapPss:         3 kB\n';
    assert.equal(chargedBytes(rollup), 123 * 1024);
  });

  it('is at most the quick sum of the same process', () => {
    const quick = residentBytes(readFileSync('/proc/self/status', 'utf8'));
    const exact = chargedBytes(readFileSync('/proc/self/smaps_rollup', 'utf8'));
    // Allow 8 MiB, because this process may have taken memory between the two reads.
    assert.ok(exact > 0 && exact <= quick + 8 * 2 ** 20, `${exact} of ${quick}`);
  });

  it('counts 0 for unreadable text', () => assert.equal(chargedBytes(''), 0));
});
