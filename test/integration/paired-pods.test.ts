/**
 * Paired service times with complete pods: the candidate's sidecar sends golden inputs to both revisions (probes) and
 * replays requests that stable has answered. Golden inputs and replays do not change the traffic counts of a revision,
 * and the load of the probes stays within its limit. Stable is the serving revision, the candidate the new one; a pair
 * is the times of both for the same request.
 */
import assert from 'node:assert/strict';
import type { Histogram, PairSource, Report } from '../../api/report.ts';
import type { GoldenConfig } from '../../api/runtime-config.ts';
import { createReportClient, type ReportAsk } from '../../operator/reports/report-client.ts';
import { givenToken } from '../support/door.ts';
import { eventually } from '../support/eventually.ts';
import { ask, inputOf } from '../support/infer-client.ts';
import { slow } from '../support/onnx-models.ts';
import { WholePods, type WholePod } from '../support/whole-pods.ts';

const golden: GoldenConfig = {
  id: 'sha256:made-up',
  metric: 'Cosine',
  min: 0,
  source: { kind: 'Generated', seed: 20, cases: 4 },
};
const width = 256;

describe('paired service times', () => {
  let pods: WholePods;
  let stable: WholePod;
  let candidate: WholePod;
  const client = createReportClient();

  before(async function before() {
    pods = await WholePods.begin(87);
    [stable, candidate] = [await pods.start(slow(20, width), golden), await pods.start(slow(80, width), golden)];
    for (const pod of [stable, candidate])
      await eventually('a ready pod', async () => (await reportOf(pod)) !== undefined);
  });
  after(async () => {
    client.close();
    await pods.end();
  });

  async function reportOf({ address }: WholePod, what: ReportAsk = {}): Promise<Report | undefined> {
    const pulled = await client.fetch(address, AbortSignal.timeout(5_000), { ...what, token: givenToken });
    return pulled.kind === 'report' && pulled.report.ready === true ? pulled.report : undefined;
  }

  const ofCandidate = (what: ReportAsk): Promise<Report | undefined> =>
    reportOf(candidate, { ...what, peers: [stable.address], peersToken: givenToken });

  function pairsIn({ blocks }: Report, source: PairSource): readonly Histogram[] {
    return (blocks?.counts ?? []).flatMap(({ traffic }) => traffic.flatMap(({ paired }) => paired?.[source] ?? []));
  }

  it("come from probes, which are not counted as traffic and take at most 5 % of a pod's time", async () => {
    const began = Date.now();
    const report = await eventually('six probes', async () => {
      const now = await ofCandidate({ probes: { perMinute: 60, pods: 1 } });
      return (now?.pairs?.paired.Probe ?? 0) >= 6 ? now : undefined;
    });
    const { pairs, traffic } = report;
    assert.ok(Date.now() - began > 4_500, 'a second apart');
    assert.ok((pairs?.probeLoad ?? 1) > 0 && (pairs?.probeLoad ?? 1) <= 0.05, `load ${pairs?.probeLoad}`);
    assert.deepEqual([traffic, (await reportOf(stable))?.traffic], [[], []]);
    const counted = pairsIn(report, 'Probe').flatMap(({ counts }) => Object.entries(counts));
    assert.equal(
      counted.reduce((sum, [, n]) => sum + n, 0),
      pairs?.paired.Probe,
    );
    // The candidate's model has four times as many layers as stable's, so most ratios (its time divided by stable's)
    // are well above 1. The histogram's bucket 198 contains the ratio 1.
    assert.ok(
      counted.filter(([bucket]) => Number(bucket) > 198).reduce((sum, [, n]) => sum + n, 0) >= 4,
      JSON.stringify(counted),
    );
  });

  it('come from replays of requests that stable has answered, when sampling is on', async () => {
    const body = JSON.stringify({
      inputs: [{ ...inputOf(Array.from({ length: width }, (_, i) => i / width)), shape: [1, width] }],
    });
    await eventually('stable to keep samples', async () => {
      await reportOf(stable, { sample: 1 });
      return (await ask(`http://${stable.address}:8080`, '/v2/models/m/infer', { body })).status === 200;
    });
    const report = await eventually('two replays', async () => {
      await reportOf(stable, { sample: 1 });
      await ask(`http://${stable.address}:8080`, '/v2/models/m/infer', { body });
      const now = await ofCandidate({ pairs: 'Shadow' });
      return (now?.pairs?.paired.Shadow ?? 0) >= 2 ? now : undefined;
    });
    assert.equal(pairsIn(report, 'Shadow').length > 0, true);
    assert.deepEqual([report.traffic, report.agreement], [[], undefined]);
  });
});
