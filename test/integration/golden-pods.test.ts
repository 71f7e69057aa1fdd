/**
 * The checks before traffic over whole pods: prepare, runtime and sidecar as processes, their last words and reports, and
 * what the operator makes of them.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { withDefaults } from '../../api/defaults.ts';
import { parseLastWords, type Resolved } from '../../api/last-words.ts';
import { env, nativeEnvironment, paths } from '../../api/names.ts';
import type { Report } from '../../api/report.ts';
import type { GoldenConfig, RuntimeConfig } from '../../api/runtime-config.ts';
import { checkBeforeTraffic } from '../../operator/gates/before-traffic.ts';
import { createReportClient } from '../../operator/report-client.ts';
import type { RevisionRecord } from '../../operator/resources/objects.ts';
import type { Checks } from '../../operator/rollout/state.ts';
import type { Model } from '../../runtime/onnx/build.ts';
import { sha256 } from '../support/artifact.ts';
import { givenToken, writeAccess } from '../support/door.ts';
import { eventually } from '../support/eventually.ts';
import { givenConfig } from '../support/model-server.ts';
import { add, residual, writeModel } from '../support/onnx-models.ts';

const main = fileURLToPath(new URL('../../runtime/main.ts', import.meta.url));
const generated: GoldenConfig = { id: 'sha256:made-up', metric: 'Cosine', min: 0.9, source: { kind: 'Generated', seed: 20, cases: 16 } };
const line = (x: readonly number[], y: readonly number[]): string =>
  JSON.stringify({ request: { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 8], data: x }] }, expected: { outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 8], data: y }] } });
let lastAddress = 0;

type Pod = { readonly address: string; readonly record: RevisionRecord };

describe('a candidate of whole pods', () => {
  let folder = '';
  const children: ChildProcess[] = [];
  const client = createReportClient();

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'golden-pods-'));
  });
  after(async () => {
    client.close();
    for (const child of children.splice(0)) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
    }
    await rm(folder, { recursive: true, force: true });
  });

  /** A pod's three containers, one after the other, as a kubelet runs them. @param files what the revision's ConfigMap holds beside the config */
  async function startPod(model: Model, golden: GoldenConfig, files: Readonly<Record<string, string>> = {}): Promise<Pod> {
    lastAddress += 1;
    const address = `127.86.${process.pid % 250}.${lastAddress}`;
    const at = (name: string): string => join(folder, address, name);
    for (const name of ['config', 'cache', 'source']) await mkdir(at(name), { recursive: true });
    const path = await writeModel(at('source'), model);
    const config: RuntimeConfig = { ...givenConfig(), golden, source: { uri: pathToFileURL(path).href, variants: [] } };
    await writeFile(join(at('config'), paths.configFile), JSON.stringify(config));
    await writeAccess(at('config'));
    for (const [name, text] of Object.entries(files)) await writeFile(join(at('config'), name), text);
    const environment = { ...nativeEnvironment, [env.podIp]: address, [env.configDir]: at('config'), [env.cacheDir]: at('cache'), [env.terminationLog]: at('words'), [env.allowFile]: 'true' };
    const [code] = (await once(start('prepare', environment), 'exit')) as [number];
    assert.equal(code, 0, await readFile(at('words'), 'utf8'));
    const words = parseLastWords(await readFile(at('words'), 'utf8'));
    assert.ok(words?.kind === 'resolved');
    start('run', environment);
    start('sidecar', environment);
    return { address, record: recordOf(words.resolved, golden) };
  }

  function start(container: string, environment: NodeJS.ProcessEnv): ChildProcess {
    const child = spawn(process.execPath, [main, container], { env: environment, stdio: 'ignore' });
    children.push(child);
    return child;
  }

  async function reportOf({ address }: Pod, peers: readonly Pod[]): Promise<Report | undefined> {
    const pulled = await client.fetch(address, AbortSignal.timeout(5_000), { peers: peers.map((peer) => peer.address), token: givenToken, peersToken: givenToken });
    return pulled.kind === 'report' && pulled.report.ready === true ? pulled.report : undefined;
  }

  /** As the operator looks: again and again, until the checks are decided. */
  function verdictOn(candidate: Pod, stable?: Pod): Promise<Checks> {
    return eventually('a verdict', async () => {
      const report = await reportOf(candidate, stable === undefined ? [] : [stable]);
      if (report === undefined) return undefined;
      const checks = checkBeforeTraffic({ record: candidate.record, pods: [{ name: 'pod', report }], ...(stable === undefined ? {} : { stable: { record: stable.record, canAnswer: true } }) });
      return checks.verdict === 'Waiting' ? undefined : checks;
    }, 30_000);
  }

  describe('beside a stable one, without a golden set', () => {
    let stable: Pod;
    before(async function before() {
      this.timeout(60_000);
      stable = await startPod(residual(), generated);
    });

    it('that is the first is asked for finite numbers alone', async () => {
      const checks = await verdictOn(stable);
      assert.deepEqual(checks, { verdict: 'Pass', reason: 'ChecksPassed', message: 'generated inputs: all numbers of 16 cases are finite, nothing was compared' });
    });

    it('that answers as stable does passes, with the number', async () => {
      const checks = await verdictOn(await startPod(residual(1.01), generated), stable);
      assert.deepEqual([checks.verdict, checks.reason], ['Pass', 'ChecksPassed'], checks.message);
      assert.match(checks.message, /^generated inputs: Cosine (1|0\.99\d*) in the worst of 16 cases, at least 0\.9 is asked for$/);
    });

    it('with one layer\'s scale off by a factor is stopped', async () => {
      const checks = await verdictOn(await startPod(residual(8), generated), stable);
      assert.deepEqual([checks.verdict, checks.reason], ['Fail', 'GoldenFailed'], checks.message);
      assert.match(checks.message, /^generated inputs: Cosine -?0\.\d+ in the worst of 16 cases, at least 0\.9 is asked for; case \d+ is the worst; its inputs were made up/);
    });

    it('that takes other inputs is stopped by its signature', async () => {
      const checks = await verdictOn(await startPod(add(), generated), stable);
      assert.deepEqual(checks, { verdict: 'Fail', reason: 'SignatureChanged', message: "input 'a' is new: stable takes 'x' (spec.model.schemaPolicy: Compatible)" });
    });

    it('has not disturbed stable\'s counts with a single question', async () => {
      const report = await eventually('a report', () => reportOf(stable, []));
      assert.deepEqual(report.traffic, []);
    });
  }).timeout(60_000);

  it('is held against the expected answers of a set beside its config', async () => {
    const zeros = [0, 0, 0, 0, 0, 0, 0, 0];
    const set = [line(zeros, zeros), line([1, 0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0])].join('\n');
    const golden: GoldenConfig = { id: 'sha256:set', metric: 'MaxAbsError', max: 0.5, source: { kind: 'File', file: 'golden.jsonl' } };
    const checks = await verdictOn(await startPod(residual(), golden, { 'golden.jsonl': set }));
    assert.deepEqual([checks.verdict, checks.reason], ['Fail', 'GoldenFailed'], checks.message);
    assert.match(checks.message, /^golden set: MaxAbsError \d\.\d+ in the worst of 2 cases, at most 0\.5 is asked for; line 2 is the worst/);
  }).timeout(60_000);

  it('is held against a set that prepare fetched, and told what is wrong with it', async () => {
    const text = `${line([1, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0])}\n{"request": 7}\n`;
    await writeFile(join(folder, 'set.jsonl'), text);
    const golden: GoldenConfig = { id: 'sha256:uri', metric: 'Cosine', min: 0, source: { kind: 'Uri', uri: pathToFileURL(join(folder, 'set.jsonl')).href, digest: sha256(text) } };
    const checks = await verdictOn(await startPod(residual(), golden));
    assert.deepEqual([checks.verdict, checks.reason, checks.message], ['Fail', 'GoldenSetInvalid', 'golden set, line 2: request is missing, or no JSON object (pod pod)']);
  }).timeout(60_000);
});

function recordOf(resolved: Resolved, golden: GoldenConfig): RevisionRecord {
  const written = { model: { uri: 'https://x/m.onnx' } };
  return { revision: '6c9f01ab2d', generation: 1, written, spec: withDefaults(written, 'image'), resolved, golden: { config: golden, attempt: 1 } };
}
