/**
 * The checks that a new revision (the candidate) must pass before it gets traffic, with complete pods: prepare, runtime
 * and sidecar run as processes. The operator's code evaluates their termination messages and reports.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { withDefaults } from '../../api/defaults.ts';
import type { Resolved } from '../../api/last-words.ts';
import type { Report } from '../../api/report.ts';
import type { GoldenConfig } from '../../api/runtime-config.ts';
import { checkBeforeTraffic } from '../../operator/gates/before-traffic.ts';
import { createReportClient } from '../../operator/reports/report-client.ts';
import type { RevisionRecord } from '../../operator/resources/objects.ts';
import type { Checks } from '../../operator/rollout/state.ts';
import type { Model } from '../../runtime/onnx/build.ts';
import { sha256 } from '../support/artifact.ts';
import { givenToken } from '../support/door.ts';
import { eventually } from '../support/eventually.ts';
import { add, residual } from '../support/onnx-models.ts';
import { WholePods } from '../support/whole-pods.ts';

const generated: GoldenConfig = {
  id: 'sha256:made-up',
  metric: 'Cosine',
  min: 0.9,
  source: { kind: 'Generated', seed: 20, cases: 16 },
};
const line = (x: readonly number[], y: readonly number[]): string =>
  JSON.stringify({
    request: { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 8], data: x }] },
    expected: { outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 8], data: y }] },
  });
type Pod = { readonly address: string; readonly record: RevisionRecord };

describe('a candidate with complete pods', () => {
  let pods: WholePods;
  const client = createReportClient();

  before(async () => {
    pods = await WholePods.begin(86);
  });
  after(async () => {
    client.close();
    await pods.end();
  });

  async function startPod(
    model: Model,
    golden: GoldenConfig,
    files: Readonly<Record<string, string>> = {},
  ): Promise<Pod> {
    const { address, resolved } = await pods.start(model, golden, files);
    return { address, record: recordOf(resolved, golden) };
  }

  async function reportOf({ address }: Pod, peers: readonly Pod[]): Promise<Report | undefined> {
    const pulled = await client.fetch(address, AbortSignal.timeout(5_000), {
      peers: peers.map((peer) => peer.address),
      token: givenToken,
      peersToken: givenToken,
    });
    return pulled.kind === 'report' && pulled.report.ready === true ? pulled.report : undefined;
  }

  /** Evaluates the pods' current reports again and again, as the operator does, until the checks have a result. */
  function verdictOn(candidate: Pod, stable?: Pod): Promise<Checks> {
    return eventually('a verdict', async () => {
      const report = await reportOf(candidate, stable === undefined ? [] : [stable]);
      if (report === undefined) return undefined;
      const checks = checkBeforeTraffic({
        record: candidate.record,
        pods: [{ name: 'pod', report }],
        ...(stable === undefined ? {} : { stable: { record: stable.record, canAnswer: true } }),
      });
      return checks.verdict === 'Waiting' ? undefined : checks;
    });
  }

  describe('with a stable revision and without a golden set', () => {
    let stable: Pod;
    before(async function before() {
      stable = await startPod(residual(), generated);
    });

    it('that is the first revision passes when its outputs are finite', async () => {
      const checks = await verdictOn(stable);
      assert.deepEqual(checks, {
        verdict: 'Pass',
        reason: 'ChecksPassed',
        message: 'generated inputs: all numbers of 16 cases are finite; answers were not compared',
      });
    });

    it('that answers like stable passes, and the message has the score', async () => {
      const checks = await verdictOn(await startPod(residual(1.01), generated), stable);
      assert.deepEqual([checks.verdict, checks.reason], ['Pass', 'ChecksPassed'], checks.message);
      assert.match(
        checks.message,
        /^generated inputs: Cosine (1|0\.99\d*) in the worst of 16 cases, required: at least 0\.9$/,
      );
    });

    it('with a wrong scale in one layer fails', async () => {
      const checks = await verdictOn(await startPod(residual(8), generated), stable);
      assert.deepEqual([checks.verdict, checks.reason], ['Fail', 'GoldenFailed'], checks.message);
      assert.match(
        checks.message,
        new RegExp(
          String.raw`^generated inputs: Cosine -?0\.\d+ in the worst of 16 cases, required: at ` +
            String.raw`least 0\.9; case \d+ is the worst; the inputs were generated`,
        ),
      );
    });

    it("with other inputs than stable's fails by its signature", async () => {
      const checks = await verdictOn(await startPod(add(), generated), stable);
      assert.deepEqual(checks, {
        verdict: 'Fail',
        reason: 'SignatureChanged',
        message: "input 'a' is new: stable has 'x' (spec.model.schemaPolicy: Compatible)",
      });
    });

    it('is not counted as traffic of stable', async () => {
      const report = await eventually('a report', () => reportOf(stable, []));
      assert.deepEqual(report.traffic, []);
    });
  });

  it('is compared with the expected answers of a set in the folder of its config', async () => {
    const zeros = [0, 0, 0, 0, 0, 0, 0, 0];
    const set = [line(zeros, zeros), line([1, 0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0])].join('\n');
    const golden: GoldenConfig = {
      id: 'sha256:set',
      metric: 'MaxAbsError',
      max: 0.5,
      source: { kind: 'File', file: 'golden.jsonl' },
    };
    const checks = await verdictOn(await startPod(residual(), golden, { 'golden.jsonl': set }));
    assert.deepEqual([checks.verdict, checks.reason], ['Fail', 'GoldenFailed'], checks.message);
    assert.match(
      checks.message,
      /^golden set: MaxAbsError \d\.\d+ in the worst of 2 cases, required: at most 0\.5; line 2 is the worst/,
    );
  });

  it('is compared with a set that prepare fetched, and the message names an invalid line of the set', async () => {
    const text = `${line([1, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0])}\n{"request": 7}\n`;
    await writeFile(join(pods.folder, 'set.jsonl'), text);
    const golden: GoldenConfig = {
      id: 'sha256:uri',
      metric: 'Cosine',
      min: 0,
      source: { kind: 'Uri', uri: pathToFileURL(join(pods.folder, 'set.jsonl')).href, digest: sha256(text) },
    };
    const checks = await verdictOn(await startPod(residual(), golden));
    assert.deepEqual(
      [checks.verdict, checks.reason, checks.message],
      ['Fail', 'GoldenSetInvalid', 'golden set, line 2: request is missing or not a JSON object (pod pod)'],
    );
  });
});

function recordOf(resolved: Resolved, golden: GoldenConfig): RevisionRecord {
  const written = { model: { uri: 'https://x/m.onnx' } };
  return {
    revision: '6c9f01ab2d',
    generation: 1,
    written,
    spec: withDefaults(written, 'image'),
    resolved,
    golden: { config: golden, attempt: 1 },
  };
}
