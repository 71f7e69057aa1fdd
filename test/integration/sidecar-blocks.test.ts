/**
 * Complete pods (runtime and sidecar), and how the operator counts the requests in their reports: every request of a
 * user is counted in the block of its time (20 s), and other requests are not counted. In another test, a pod of a new
 * revision (the candidate) replays requests that a pod of the serving revision (stable) has answered.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bearer, tokenHeader } from '../../api/access.ts';
import { ports } from '../../api/names.ts';
import type { BlockTraffic, Report } from '../../api/report.ts';
import { cellsOf, emptyLedger, fold, type Ledger } from '../../operator/analysis/ledger.ts';
import { createReportClient, type ReportAsk } from '../../operator/reports/report-client.ts';
import { systemClock } from '../../lib/clock.ts';
import { AccessFile } from '../../runtime/config/access-file.ts';
import type { Model } from '../../runtime/onnx/build.ts';
import { writeAccess } from '../support/door.ts';
import { eventually } from '../support/eventually.ts';
import { ask, inputOf } from '../support/infer-client.ts';
import { endServers, startServer } from '../support/model-server.ts';
import { matmul } from '../support/onnx-models.ts';

const program = fileURLToPath(new URL('../support/sidecar-process.ts', import.meta.url));
const body = JSON.stringify({ inputs: [inputOf([1, 2, 3, 4])] });
const path = '/v2/models/m/versions/6c9f01ab2d/infer';
let lastAddress = 0;

type Pod = {
  readonly address: string;
  readonly token: string;
  readonly serve: (requests: number, port?: number) => Promise<void>;
  readonly report: (asked?: ReportAsk) => Promise<Report>;
};

describe('a pod', () => {
  const sidecars: ChildProcess[] = [];
  const folders: string[] = [];
  const client = createReportClient();

  async function startPod(model: Model, revision = '6c9f01ab2d'): Promise<Pod> {
    lastAddress += 1;
    const address = `127.85.${process.pid % 250}.${lastAddress}`;
    const configDir = await mkdtemp(join(tmpdir(), 'sidecar-blocks-'));
    folders.push(configDir);
    const token = revision[0]!.repeat(43);
    await writeAccess(configDir, token, 1);
    await startServer({
      model,
      config: { revision },
      options: {
        addresses: [address],
        port: ports.runtime,
        metricsPort: ports.metrics,
        door: new AccessFile(configDir, systemClock),
      },
    });
    const child = spawn(process.execPath, [program], {
      env: { POD_IP: address, ONNX_CONFIG_DIR: configDir },
      stdio: 'ignore',
    });
    sidecars.push(child);
    const report = async (asked: ReportAsk = {}): Promise<Report> => {
      const pulled = await client.fetch(address, AbortSignal.timeout(5_000), asked);
      return pulled.kind === 'report' ? pulled.report : { schema: 1, bootId: 'none', seq: 0, revision: pulled.reason };
    };
    await eventually(`a ready pod at ${address}`, async () => (await report()).ready === true);
    return {
      address,
      report,
      token,
      serve: async (requests, port = ports.runtime) => {
        for (let i = 0; i < requests; i += 1)
          assert.equal(
            (await ask(`http://${address}:${port}`, path, { body, headers: { [tokenHeader]: bearer(token) } })).status,
            200,
          );
      },
    };
  }

  afterEach(async () => {
    for (const child of sidecars.splice(0)) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await endServers();
  });
  after(async () => {
    client.close();
    for (const folder of folders) await rm(folder, { recursive: true });
  });

  it('counts every request of a user in its blocks, but not the warm-up or the requests of sidecars', async () => {
    const pod = await startPod(matmul());
    await pod.serve(7);
    await pod.serve(5, ports.metrics);
    await ask(`http://${pod.address}:${ports.runtime}`, path, { body: '{"inputs": 3}' });
    let ledger: Ledger = emptyLedger;
    const cells = await eventually('all of them', async () => {
      const { bootId, revision, blocks } = await pod.report();
      if (blocks !== undefined)
        ledger = fold(ledger, {
          pod: 'p',
          bootId,
          revision,
          since: blocks.since,
          until: blocks.until,
          blocks: blocks.counts,
        });
      const now = cellsOf(ledger, revision);
      return now.reduce((sum, cell) => sum + cell.requests, 0) >= 7 &&
        cellsIn(await pod.report()).some(({ errors }) => errors['invalid'] === 1)
        ? now
        : undefined;
    });
    assert.equal(
      cells.reduce((sum, cell) => sum + cell.requests, 0),
      7,
    );
    assert.equal(
      cells.reduce((sum, cell) => sum + cell.latency.total, 0),
      7,
    );
    assert.ok(cells.every(({ sizeClass, requests }) => sizeClass === 4 || requests === 0));
  });

  for (const [name, candidateModel, wanted] of [
    ['agrees with stable when it computes the same', matmul(2), { compared: 2, disagreed: 0 }],
    [
      'disagrees with stable when it does not, and is found out without a user of its own',
      matmul(-1),
      { compared: 2, disagreed: 2 },
    ],
  ] as const) {
    it(name, async () => {
      const [stable, candidate] = await Promise.all([startPod(matmul()), startPod(candidateModel, 'bbbbbbbbbb')]);
      const asked = {
        stable: { sample: 1, token: stable.token },
        candidate: {
          peers: [stable.address],
          agreement: 'Cosine:0.98',
          token: candidate.token,
          peersToken: stable.token,
        },
      };
      const report = await eventually('two comparisons', async () => {
        await stable.report(asked.stable);
        await stable.serve(1);
        const now = await candidate.report(asked.candidate);
        return (now.agreement?.compared ?? 0) >= wanted.compared && comparedIn(now).compared >= wanted.compared
          ? now
          : undefined;
      });
      const { compared, disagreed } = comparedIn(report);
      assert.deepEqual([disagreed > 0, disagreed === 0 || disagreed === compared], [wanted.disagreed > 0, true]);
      assert.equal(report.agreement?.disagreed, wanted.disagreed === 0 ? 0 : report.agreement?.compared);
      // The pod has no traffic counts, because replays are not requests of users.
      assert.deepEqual(report.traffic, []);
      assert.ok(cellsIn(report).every(({ ok, sizeClass }) => ok === 0 && sizeClass === 4));
    });
  }

  it('keeps no samples when they are not requested', async () => {
    const pod = await startPod(matmul());
    await pod.serve(3);
    const taken = await ask(`http://${pod.address}:${ports.sidecar}`, '/samples?max=9', {
      body: '',
      headers: { [tokenHeader]: bearer(pod.token) },
    });
    assert.equal(taken.status, 200);
    assert.equal(taken.body.toString(), '{"tooLarge":0,"samples":[]}\n');
  });

  it("refuses samples and the operator's instructions without the token", async () => {
    const pod = await startPod(matmul());
    await pod.report({ sample: 1, token: pod.token });
    await eventually('a sample', async () => {
      await pod.serve(1);
      await pod.report();
      await pod.report({ sample: 0, peers: ['127.0.0.1'], token: 'x'.repeat(43) });
      const refused = await ask(`http://${pod.address}:${ports.sidecar}`, '/samples?max=9', { body: '' });
      assert.equal(refused.status, 401);
      const taken = await ask(`http://${pod.address}:${ports.sidecar}`, '/samples?max=9', {
        body: '',
        headers: { [tokenHeader]: bearer(pod.token) },
      });
      return taken.body.includes('"samples":[{');
    });
  });
});

function cellsIn(report: Report): readonly BlockTraffic[] {
  return report.blocks?.counts.flatMap(({ traffic }) => traffic) ?? [];
}

function comparedIn(report: Report): { readonly compared: number; readonly disagreed: number } {
  const cells = cellsIn(report);
  return {
    compared: cells.reduce((sum, cell) => sum + (cell.compared ?? 0), 0),
    disagreed: cells.reduce((sum, cell) => sum + (cell.disagreed ?? 0), 0),
  };
}
