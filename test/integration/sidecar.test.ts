/**
 * The sidecar as a process, with a plain HTTP server as the runtime: what the sidecar serves while the runtime is up,
 * slow or silent, after it was replaced, and after it ended.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { ports } from '../../api/names.ts';
import { blockSeconds, reportLimitBytes, type Report } from '../../api/report.ts';
import { eventually } from '../support/eventually.ts';
import { ask as get, type Seen } from '../support/infer-client.ts';
import { fullReport } from '../support/reports.ts';

const program = fileURLToPath(new URL('../support/sidecar-process.ts', import.meta.url));
const { seq: _, ...counters } = fullReport;
/** Large enough to be compressed. */
const manyBuckets = {
  ...counters,
  traffic: [
    {
      ...counters.traffic![0]!,
      latency: { base: 1e-4, growth: 1.02, counts: Object.fromEntries(Array.from({ length: 400 }, (_v, i) => [i, i])) },
    },
  ],
};

let lastAddress = 0;

/** A loopback address that no other test uses, so that the real ports are free. */
function ownAddress(): string {
  lastAddress += 1;
  return `127.84.${process.pid % 250}.${lastAddress}`;
}

function ask(address: string, path: string, headers: Record<string, string> = {}): Promise<Seen> {
  return get(`http://${address}:${ports.sidecar}`, path, { headers });
}

async function reportOf(address: string): Promise<Report> {
  return JSON.parse((await ask(address, '/report')).body.toString()) as Report;
}

describe('sidecar', () => {
  const started: ChildProcess[] = [];
  const servers: Server[] = [];

  async function startSidecar(address: string): Promise<ChildProcess> {
    const child = spawn(process.execPath, [program], {
      env: { POD_IP: address, ONNX_CONFIG_DIR: '/nonexistent' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    started.push(child);
    await eventually('the sidecar', async () => (await ask(address, '/healthz')).status === 200);
    return child;
  }

  async function startRuntime(address: string, body: () => string, delayMs = 0): Promise<Server> {
    const server = createServer((_request, response) =>
      setTimeout(() => response.setHeader('content-type', 'application/json').end(body()), delayMs),
    );
    servers.push(server);
    server.listen(ports.metrics, address);
    await once(server, 'listening');
    return server;
  }

  function end(server: Server): void {
    server.close();
    server.closeAllConnections();
  }

  afterEach(async () => {
    servers.splice(0).forEach(end);
    for (const child of started.splice(0)) {
      if (child.exitCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  it('reports not ready with a reason before the runtime is up, then serves its counters', async () => {
    const address = ownAddress();
    await startSidecar(address);
    const before = await eventually('the first reading', async () => {
      const report = await reportOf(address);
      return report.seq > 0 ? report : undefined;
    });
    assert.equal(before.ready, false);
    assert.match(before.state ?? '', /does not answer yet: nothing listens at 127\./);
    await startRuntime(address, () => JSON.stringify(counters));
    const after = await eventually('a ready report', async () => {
      const report = await reportOf(address);
      return report.ready === true ? report : undefined;
    });
    // Ignore the blocks. The report has a complete block only if a new block has just begun.
    const { blocks: _blocks, ...rest } = after;
    assert.deepEqual({ ...rest, seq: 0 }, { ...counters, seq: 0 });
  });

  it('compresses for clients that accept gzip', async () => {
    const address = ownAddress();
    await startRuntime(address, () => JSON.stringify(manyBuckets));
    await startSidecar(address);
    await eventually('a ready report', async () => (await reportOf(address)).ready === true);
    const packed = await ask(address, '/report', { 'accept-encoding': 'gzip' });
    const plain = await ask(address, '/report', { 'accept-encoding': 'identity' });
    assert.equal(packed.headers['content-encoding'], 'gzip');
    assert.equal(plain.headers['content-encoding'], undefined);
    assert.equal((JSON.parse(gunzipSync(packed.body).toString()) as Report).bootId, 'boot-1');
    assert.ok(packed.body.length < plain.body.length / 2);
  });

  it('continues with the new boot id when the runtime is replaced', async () => {
    const address = ownAddress();
    const first = await startRuntime(address, () => JSON.stringify(counters));
    await startSidecar(address);
    await eventually('a ready report', async () => (await reportOf(address)).ready === true);
    end(first);
    const between = await eventually('a report of the loss', async () => {
      const report = await reportOf(address);
      return report.ready === false ? report : undefined;
    });
    assert.equal(between.bootId, 'boot-1');
    assert.match(between.state ?? '', /does not answer any more/);
    await startRuntime(address, () => JSON.stringify({ ...counters, bootId: 'boot-2' }));
    const after = await eventually('the new boot', async () => {
      const report = await reportOf(address);
      return report.bootId === 'boot-2' ? report : undefined;
    });
    assert.ok(after.seq < between.seq);
  });

  for (const [name, body, want] of [
    ['counters that are not JSON', () => '<html>', /not JSON/],
    [
      'counters of a wrong type',
      () => JSON.stringify({ ...counters, ready: 'yes' }),
      /ready: "yes" is neither true nor false/,
    ],
    ['counters that are too large', () => `"${'x'.repeat(reportLimitBytes + 10)}"`, /exceed 1048576 bytes/],
  ] as const) {
    it(`reports not ready for ${name}`, async () => {
      const address = ownAddress();
      await startRuntime(address, body);
      await startSidecar(address);
      const report = await eventually('a reading', async () => {
        const now = await reportOf(address);
        return now.seq > 0 ? now : undefined;
      });
      assert.equal(report.ready, false);
      assert.match(report.state ?? '', want);
    });
  }

  it("assigns the runtime's counts to blocks of wall-clock time", async () => {
    const address = ownAddress();
    let traffic: Report['traffic'] = [];
    await startRuntime(address, () => JSON.stringify({ ...counters, traffic }));
    await startSidecar(address);
    await eventually('a claim', async () => (await reportOf(address)).blocks !== undefined);
    traffic = fullReport.traffic;
    const blocks = await eventually('a block', async () => {
      const now = (await reportOf(address)).blocks;
      return now?.counts.length === 1 ? now : undefined;
    });
    const block = Math.floor(Date.now() / 1000 / blockSeconds);
    assert.ok(Math.abs(blocks.until - block) <= 1);
    const [{ latency, ok, errors }] = [fullReport.traffic![0]!];
    assert.deepEqual(blocks.counts[0]?.traffic, [{ tier: 'interactive', sizeClass: 64, latency, ok, errors }]);
    const later = JSON.parse((await ask(address, `/report?blocksFrom=${block + 5}`)).body.toString()) as Report;
    assert.equal(later.blocks, undefined);
  });

  it('answers an invalid query with the problem', async () => {
    const address = ownAddress();
    await startSidecar(address);
    const answer = await ask(address, '/report?sample=lots');
    assert.equal(answer.status, 400);
    assert.match(
      (JSON.parse(answer.body.toString()) as { error: { message: string } }).error.message,
      /sample is 'lots'/,
    );
  });

  it('answers an unknown path with 404 in JSON', async () => {
    const address = ownAddress();
    await startSidecar(address);
    const answer = await ask(address, '/reports');
    assert.equal(answer.status, 404);
    assert.equal((JSON.parse(answer.body.toString()) as { error: { code: string } }).error.code, 'PATH_UNKNOWN');
  });

  it('reports during the drain, and ends with the runtime', async () => {
    const address = ownAddress();
    let state = 'ready';
    const runtime = await startRuntime(address, () => JSON.stringify({ ...counters, state }));
    const child = await startSidecar(address);
    await eventually('a ready report', async () => (await reportOf(address)).ready === true);
    child.kill('SIGTERM');
    state = 'draining';
    await eventually('a report of the drain', async () => (await reportOf(address)).state === 'draining');
    assert.equal(child.exitCode, null);
    end(runtime);
    const [code] = (await once(child, 'exit')) as [number | null];
    assert.equal(code, 0);
  });
});
