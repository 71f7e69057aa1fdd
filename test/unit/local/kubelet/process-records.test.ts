import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killLeftovers, ProcessRecords, startTime } from '../../../../local/kubelet/process-records.ts';

describe('ProcessRecords', () => {
  let dir: string;
  const started: ChildProcess[] = [];
  beforeEach(() => {
    dir = join(mkdtempSync(join(tmpdir(), 'onnx-records-')), 'processes');
  });
  afterEach(() => {
    for (const child of started.splice(0)) child.kill('SIGKILL');
    rmSync(join(dir, '..'), { recursive: true, force: true });
  });

  const start = (): { child: ChildProcess; pid: number; ended: Promise<NodeJS.Signals | null> } => {
    const child = spawn('/bin/sleep', ['60'], { detached: true, stdio: 'ignore' });
    started.push(child);
    return {
      child,
      pid: child.pid ?? 0,
      ended: new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal))),
    };
  };
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

  it('kills groups that were added and not removed when it is closed', async () => {
    const records = new ProcessRecords(dir);
    const [left, removed] = [start(), start()];
    records.add(left.pid);
    records.add(removed.pid);
    records.remove(removed.pid);
    await records.close();
    assert.equal(await left.ended, 'SIGKILL');
    assert.notEqual(startTime(removed.pid), undefined);
    assert.deepEqual(readdirSync(dir), []);
  });

  it('kills the groups that an earlier run left', async () => {
    const left = start();
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, String(left.pid)), `${boot} ${startTime(left.pid)}\n`);
    const records = new ProcessRecords(dir);
    assert.equal(await left.ended, 'SIGKILL');
    await records.close();
  });

  for (const [name, line] of [
    ['with another start time', `${boot} 1`],
    ['of another boot', 'another-boot 1'],
  ] as const) {
    it(`leaves a process ${name} alone: its id was reused`, () => {
      const stranger = start();
      mkdirSync(dir, { recursive: true });
      writeFileSync(join(dir, String(stranger.pid)), `${line}\n`);
      assert.deepEqual(killLeftovers(dir), []);
      assert.notEqual(startTime(stranger.pid), undefined);
      assert.deepEqual(readdirSync(dir), []);
    });
  }
});
