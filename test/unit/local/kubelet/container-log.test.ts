import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ContainerLog } from '../../../../local/kubelet/container-log.ts';
import { lastWordsOfLog, readLog } from '../../../../local/kubelet/log-output.ts';

describe('container log', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'onnx-log-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  let nowMs = 0;
  const open = (limitBytes?: number): ContainerLog => {
    nowMs = Date.UTC(2026, 0, 1);
    return new ContainerLog(join(dir, '0'), () => nowMs, limitBytes);
  };
  const never = new AbortController().signal;
  const textOf = async (
    log: ContainerLog,
    options: { tailLines?: number; sinceMs?: number; timestamps?: boolean } = {},
  ): Promise<string> => {
    let text = '';
    for await (const bytes of readLog(log, { follow: false, timestamps: false, signal: never, ...options }))
      text += Buffer.from(bytes).toString();
    return text;
  };

  it('returns the written lines', async () => {
    const log = open();
    log.write('stdout', 'one\ntw');
    log.write('stderr', 'an error\n');
    log.write('stdout', 'o\n');
    assert.equal(await textOf(log), 'one\nan error\ntwo\n');
    log.end();
  });

  it('returns a last line without a line break once the container has ended', async () => {
    const log = open();
    log.write('stdout', 'half');
    assert.equal(await textOf(log), '');
    log.end();
    assert.equal(await textOf(log), 'half\n');
  });

  it('puts the time before each line if requested', async () => {
    const log = open();
    log.write('stdout', 'one\n');
    log.end();
    assert.equal(await textOf(log, { timestamps: true }), '2026-01-01T00:00:00.000000000Z one\n');
  });

  it('joins the parts of a long line', async () => {
    const log = open();
    const long = 'x'.repeat(40_000);
    log.write('stdout', `${long}\n`);
    log.write('stdout', 'short\n');
    log.end();
    assert.equal(await textOf(log), `${long}\nshort\n`);
    assert.equal(await textOf(log, { tailLines: 1 }), 'short\n');
  });

  for (const [tailLines, want] of [
    [2, 'b\nc\n'],
    [0, ''],
    [9, 'a\nb\nc\n'],
  ] as const) {
    it(`gives the last ${tailLines} lines`, async () => {
      const log = open();
      log.write('stdout', 'a\nb\nc\n');
      log.end();
      assert.equal(await textOf(log, { tailLines }), want);
    });
  }

  it('leaves out lines that are too old', async () => {
    const log = open();
    log.write('stdout', 'old\n');
    nowMs += 5_000;
    log.write('stdout', 'new\nnewer\n');
    log.end();
    assert.equal(await textOf(log, { sinceMs: nowMs }), 'new\nnewer\n');
    assert.equal(await textOf(log, { sinceMs: nowMs, tailLines: 3 }), 'new\nnewer\n');
    assert.equal(await textOf(log, { sinceMs: nowMs + 1 }), '');
  });

  it('keeps two files and gives their lines in order', async () => {
    const log = open(200);
    for (let line = 0; line < 50; line += 1) log.write('stdout', `line ${line}\n`);
    const lines = (await textOf(log)).trim().split('\n');
    assert.equal(readdirSync(join(dir, '0')).length, 2);
    assert.equal(lines.at(-1), 'line 49');
    assert.deepEqual(
      lines,
      Array.from({ length: lines.length }, (_, index) => `line ${50 - lines.length + index}`),
    );
    log.end();
  });

  it('follows across rotations until the run ends', async () => {
    const log = open(300);
    log.write('stdout', 'line 0\n');
    const followed = (async () => {
      let text = '';
      for await (const bytes of readLog(log, { follow: true, timestamps: false, signal: never, tailLines: 1 }))
        text += Buffer.from(bytes).toString();
      return text;
    })();
    await new Promise((resolve) => setImmediate(resolve));
    for (let line = 1; line < 40; line += 1) {
      log.write('stdout', `line ${line}\n`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    log.end();
    assert.equal(await followed, Array.from({ length: 40 }, (_, line) => `line ${line}\n`).join(''));
  });

  it('ends a follower whose signal is aborted', async () => {
    const log = open();
    const stop = new AbortController();
    const followed = (async () => {
      let batches = 0;
      for await (const bytes of readLog(log, { follow: true, timestamps: false, signal: stop.signal }))
        batches += bytes.length;
      return batches;
    })();
    await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    assert.equal(await followed, 0);
    log.end();
  });

  it('returns the last characters as the termination message', async () => {
    const log = open();
    log.write('stderr', `${'x'.repeat(5000)}\nthe end\n`);
    log.end();
    const words = await lastWordsOfLog(log, 2048);
    assert.equal(words.length, 2048);
    assert.ok(words.endsWith('the end\n'));
  });
});
