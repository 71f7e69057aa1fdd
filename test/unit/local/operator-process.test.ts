import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { ProcessRecords } from '../../../local/kubelet/process-records.ts';
import { OperatorProcess } from '../../../local/operator-process.ts';
import { HandClock } from '../../support/hand-clock.ts';

describe('OperatorProcess', () => {
  let dir: string;
  let processes: ProcessRecords;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'onnx-operator-'));
    processes = new ProcessRecords(join(dir, 'processes'));
  });
  afterEach(async () => {
    await processes.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const until = async (check: () => boolean): Promise<void> => {
    for (let tries = 0; tries < 500 && !check(); tries += 1) await systemClock.sleep(10);
    assert.ok(check(), 'waited five seconds');
  };
  const runs = (): number => (existsSync(join(dir, 'runs')) ? readFileSync(join(dir, 'runs'), 'utf8').length : 0);
  const shell = (script: string): readonly string[] => ['/bin/sh', '-c', `printf x >> ${join(dir, 'runs')}; ${script}`];

  it('restarts the program after a wait when it ends', async () => {
    const clock = new HandClock();
    const operator = new OperatorProcess(shell('exit 1'), { clock, logger: silentLogger, processes });
    await until(() => clock.pending === 1);
    assert.equal(runs(), 1);
    await clock.advance(1000);
    await until(() => runs() === 2);
    await until(() => clock.pending === 1);
    await operator.stop();
    await clock.advance(60_000);
    assert.equal(runs(), 2);
  });

  it('ends the program with SIGTERM', async () => {
    const operator = new OperatorProcess(
      shell(`exec 2>/dev/null; trap 'printf t >> ${join(dir, 'ended')}; exit 0' TERM; while :; do sleep 0.05; done`),
      { clock: systemClock, logger: silentLogger, processes },
    );
    await until(() => runs() === 1);
    await operator.stop();
    assert.ok(existsSync(join(dir, 'ended')));
  });

  it('keeps trying when the program does not exist', async () => {
    const clock = new HandClock();
    const operator = new OperatorProcess([join(dir, 'none')], { clock, logger: silentLogger, processes });
    await until(() => clock.pending === 1);
    await operator.stop();
  });
});
