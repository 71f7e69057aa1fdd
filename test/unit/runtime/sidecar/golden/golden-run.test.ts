/**
 * The golden run: a pod of the candidate (the new revision) answers a set of inputs, and the answers are compared with
 * expected answers or with those of stable, the serving revision. Functions stand for the runtimes of pods.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GoldenConfig } from '../../../../../api/runtime-config.ts';
import type { TaskName } from '../../../../../api/tasks.ts';
import { decodeInfer, defaultDecodeLimits } from '../../../../../runtime/protocol/oip/decode.ts';
import type { Answered, Question } from '../../../../../runtime/protocol/ask-runtime.ts';
import { GoldenRunner } from '../../../../../runtime/sidecar/golden/golden-run.ts';
import { hastyClock, keepingLogger } from '../../../../support/artifact.ts';
import { eventually } from '../../../../support/eventually.ts';

type Runtime = (question: Question) => Answered;

const answer = (value: unknown): Answered => ({
  kind: 'answer',
  body: new Uint8Array(Buffer.from(JSON.stringify(value))),
  jsonBytes: undefined,
});
const outputs = (rows: number, ...data: readonly number[]): Answered =>
  answer({ outputs: [{ name: 'y', datatype: 'FP32', shape: [rows, data.length / rows], data }] });
const metadata = (input = 'x'): Answered =>
  answer({
    name: 'm',
    inputs: [{ name: input, datatype: 'FP32', shape: [-1, 2] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }],
  });

/** A runtime that returns x rotated by an angle, for any shape. */
function turning(angle: number): Runtime {
  return ({ method, body, jsonBytes }) => {
    if (method === 'GET') return metadata();
    const x = decodeInfer(new Uint8Array(body ?? []), jsonBytes ?? 0, defaultDecodeLimits).inputs['x'];
    assert.ok(x?.type === 'float32');
    const data = Array.from(x.data);
    return outputs(
      x.dims[0] ?? 1,
      ...data.map((value, index) =>
        index % 2 === 0
          ? value * Math.cos(angle) - (data[index + 1] ?? 0) * Math.sin(angle)
          : (data[index - 1] ?? 0) * Math.sin(angle) + value * Math.cos(angle),
      ),
    );
  };
}

const line = (x: readonly [number, number], y?: readonly [number, number]): string =>
  JSON.stringify({
    request: { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: x }] },
    ...(y === undefined ? {} : { expected: { outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2], data: y }] } }),
  });
const cosine = (source: GoldenConfig['source'], min = 0.99): GoldenConfig => ({
  id: 'sha256:1',
  metric: 'Cosine',
  min,
  source,
});
const generated: GoldenConfig['source'] = { kind: 'Generated', seed: 7, cases: 4 };
const file: GoldenConfig['source'] = { kind: 'File', file: 'golden.jsonl' };
const unavailable: Answered = { kind: 'unavailable', why: '429: the queue is full' };

describe('GoldenRunner', () => {
  let folder = '';
  let stop = new AbortController();
  let running: Promise<void> = Promise.resolve();
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'golden-'));
    stop = new AbortController();
  });
  afterEach(async () => {
    stop.abort();
    await running;
    rmSync(folder, { recursive: true });
  });

  type World = {
    readonly golden: GoldenConfig;
    readonly runtimes: Readonly<Record<string, Runtime>>;
    readonly peers?: readonly string[];
    readonly task?: TaskName;
    readonly ready?: () => boolean;
  };

  function start({ golden, runtimes, peers = [], task = 'Tensor', ready = () => true }: World): GoldenRunner {
    const runner = new GoldenRunner({
      golden,
      task,
      ready,
      model: 'm',
      configDir: folder,
      cacheDir: folder,
      self: 'me',
      clock: hastyClock(),
      random: () => 0,
      logger: keepingLogger(),
      ask: (address, question) =>
        Promise.resolve(runtimes[address]?.(question) ?? { kind: 'unavailable', why: `nothing listens at ${address}` }),
    });
    runner.offer(peers);
    running = runner.run(stop.signal);
    return runner;
  }

  const ended = (runner: GoldenRunner) =>
    eventually('the end', () => (['Done', 'Broken'].includes(runner.result().state) ? runner.result() : false));
  const write = (...lines: readonly string[]): void => writeFileSync(join(folder, 'golden.jsonl'), lines.join('\n'));

  it('waits until the model is ready', async () => {
    let ready = false;
    write(line([1, 0], [1, 0]));
    const runner = start({ golden: cosine(file), runtimes: { me: turning(0) }, ready: () => ready });
    assert.deepEqual(runner.result(), {
      id: 'sha256:1',
      state: 'Waiting',
      n: 0,
      done: 0,
      passed: 0,
      compared: 0,
      score: null,
      worst: null,
      problem: 'the model is not ready yet',
    });
    ready = true;
    assert.equal((await ended(runner)).score, 1);
  });

  it('compares answers with expected ones, without requests to stable', async () => {
    write(line([1, 0], [1, 0]), line([1, 0], [3, 4]), line([2, 0], [4, 0]));
    const result = await ended(start({ golden: cosine(file), runtimes: { me: turning(0) } }));
    assert.deepEqual(
      { ...result, score: result.score?.toFixed(3), worst: result.worst?.toFixed(3) },
      {
        id: 'sha256:1',
        state: 'Done',
        n: 3,
        done: 3,
        passed: 2,
        compared: 3,
        score: '0.600',
        worst: '0.600',
        problem: 'line 2 is the worst',
      },
    );
  });

  it("compares answers with stable's when a case has no expected answer", async () => {
    write(line([1, 0]), line([0, 1], [0, 1]));
    const result = await ended(
      start({ golden: cosine(file), runtimes: { me: turning(0), stable: turning(Math.PI / 3) }, peers: ['stable'] }),
    );
    assert.deepEqual(
      [result.score?.toFixed(3), result.passed, result.compared, result.problem],
      ['0.500', 1, 2, 'line 1 is the worst'],
    );
  });

  it('checks only for finite numbers without stable, and runs again when stable is named', async () => {
    write(line([1, 0]));
    const runner = start({ golden: cosine(file), runtimes: { me: turning(0), stable: turning(Math.PI) } });
    const first = await ended(runner);
    assert.deepEqual([first.score, first.passed, first.compared, first.n], [null, 1, 0, 1]);
    runner.offer(['stable']);
    const second = await eventually('another pass', () => (runner.result().score === null ? false : runner.result()));
    assert.deepEqual([second.score, second.compared], [-1, 1]);
  });

  it('counts an answer that is not finite with the worst value, with stable or without', async () => {
    write(line([1, 0]));
    const json = Buffer.from(
      '{"outputs":[{"name":"y","datatype":"FP32","shape":[1,1],"parameters":{"binary_data_size":4}}]}',
    );
    const infinite: Runtime = () => ({
      kind: 'answer',
      body: new Uint8Array(Buffer.concat([json, Buffer.from(Float32Array.of(NaN).buffer)])),
      jsonBytes: json.length,
    });
    const result = await ended(start({ golden: cosine(file), runtimes: { me: infinite } }));
    assert.deepEqual(
      [result.state, result.score, result.passed, result.problem],
      ['Done', -1, 0, "line 1: output 'y' is NaN at element 0"],
    );
  });

  it('tries another pod of stable when one does not answer', async () => {
    write(line([1, 0]));
    const result = await ended(
      start({
        golden: cosine(file),
        runtimes: { me: turning(0), sick: () => unavailable, well: turning(0) },
        peers: ['sick', 'well'],
      }),
    );
    assert.deepEqual([result.state, result.score], ['Done', 1]);
  });

  it('waits with a reason while no pod of stable answers, and continues when one does', async () => {
    write(line([1, 0]));
    let well = false;
    const runner = start({
      golden: cosine(file),
      runtimes: { me: turning(0), stable: (question) => (well ? turning(0)(question) : unavailable) },
      peers: ['stable'],
    });
    const waiting = await eventually('a wait', () =>
      /no pod of stable/.test(runner.result().problem ?? '') ? runner.result() : false,
    );
    assert.deepEqual(
      [waiting.state, waiting.problem, waiting.score],
      ['Waiting', 'no pod of stable answered line 1: 429: the queue is full', null],
    );
    well = true;
    assert.equal((await ended(runner)).score, 1);
  });

  it('does not wait when the model of stable fails, since the candidate may fix it', async () => {
    write(line([1, 0]), line([0, 1], [0, 1]));
    const failing: Runtime = () => ({ kind: 'refused', status: 500, why: '500: ONNX Runtime failed on a batch' });
    const result = await ended(
      start({ golden: cosine(file), runtimes: { me: turning(0), stable: failing }, peers: ['stable'] }),
    );
    assert.deepEqual(
      [result.state, result.passed, result.compared, result.score, result.problem],
      ['Done', 2, 2, 1, 'line 1: stable failed: 500: ONNX Runtime failed on a batch'],
    );
  });

  it('counts a case on which the model fails with the worst value, and continues', async () => {
    write(line([1, 0], [1, 0]), line([2, 0], [1, 0]));
    let asked = 0;
    const failing: Runtime = (question) =>
      (asked += 1) === 1
        ? { kind: 'refused', status: 500, why: '500: ONNX Runtime failed on a batch' }
        : turning(0)(question);
    const result = await ended(start({ golden: cosine(file), runtimes: { me: failing } }));
    assert.deepEqual(
      [result.done, result.passed, result.score, result.problem],
      [2, 1, -1, 'line 1: the model failed: 500: ONNX Runtime failed on a batch'],
    );
  });

  // prettier-ignore
  const broken: readonly { readonly of: string; readonly lines?: readonly string[];
    readonly golden?: GoldenConfig; readonly me?: Runtime; readonly says: RegExp }[] = [
    { of: 'a line that is not JSON', lines: [line([1, 0], [1, 0]), '{'],
      says: /golden set, line 2: the line is not JSON/ },
    { of: 'a case that the model refuses', lines: [line([1, 0], [1, 0])],
      me: () => ({ kind: 'refused', status: 400, why: "400: unknown input 'x'" }),
      says: /golden set, line 1: the model refuses the case: 400: unknown input 'x'/ },
    { of: 'a metric that does not fit', lines: [line([1, 0], [1, 0])],
      golden: { id: '1', metric: 'WordErrorRate', max: 0.1, source: file },
      says: /line 1: metric WordErrorRate cannot be applied: output 'y' is not text/ },
    { of: 'a missing file', says: /cannot read .*golden\.jsonl/ },
    { of: 'a set that prepare has not fetched',
      golden: cosine({ kind: 'Uri', uri: 'https://x/y',
        digest: `sha256:${'0'.repeat(64)}` }), says: /cannot read .*golden\.json/ },
  ];
  for (const { of, lines, golden = cosine(file), me = turning(0), says } of broken) {
    it(`is Broken with a reason for ${of}`, async () => {
      if (lines !== undefined) write(...lines);
      const result = await ended(start({ golden, runtimes: { me } }));
      assert.equal(result.state, 'Broken');
      assert.match(result.problem ?? '', says);
    });
  }

  it('reads the set that prepare has fetched', async () => {
    const digest = `sha256:${'1'.repeat(64)}`;
    writeFileSync(join(folder, 'fetched.jsonl'), line([1, 0], [1, 0]));
    writeFileSync(
      join(folder, 'golden.json'),
      JSON.stringify({ schema: 1, digest, path: join(folder, 'fetched.jsonl') }),
    );
    assert.equal(
      (
        await ended(
          start({ golden: cosine({ kind: 'Uri', uri: 'https://x/y', digest }), runtimes: { me: turning(0) } }),
        )
      ).score,
      1,
    );
  });

  describe('without a set', () => {
    it("generates cases from the signature and compares the answers with stable's", async () => {
      const same = await ended(
        start({ golden: cosine(generated), runtimes: { me: turning(0.02), stable: turning(0) }, peers: ['stable'] }),
      );
      assert.deepEqual([same.n, same.compared, same.passed, same.score?.toFixed(4)], [4, 4, 4, '0.9998']);
      stop.abort();
      await running;
      stop = new AbortController();
      const other = await ended(
        start({ golden: cosine(generated), runtimes: { me: turning(1), stable: turning(0) }, peers: ['stable'] }),
      );
      assert.deepEqual([other.passed, other.score?.toFixed(2)], [0, '0.54']);
    });

    it('checks only for finite numbers in a first revision', async () => {
      const result = await ended(start({ golden: cosine(generated), runtimes: { me: turning(1) } }));
      assert.deepEqual([result.n, result.passed, result.compared, result.score], [4, 4, 0, null]);
    });

    it('does not compare answers when stable has other inputs', async () => {
      const other: Runtime = ({ method }) =>
        method === 'GET' ? metadata('another') : { kind: 'refused', status: 400, why: '400' };
      const result = await ended(
        start({ golden: cosine(generated), runtimes: { me: turning(0), stable: other }, peers: ['stable'] }),
      );
      assert.deepEqual([result.state, result.passed, result.compared, result.score], ['Done', 4, 0, null]);
      assert.match(result.problem ?? '', /inputs differ from stable's/);
    });

    it('does not compare answers when stable has other outputs', async () => {
      const other: Runtime = (question) =>
        question.method === 'GET'
          ? answer({
              inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
              outputs: [{ name: 'z', datatype: 'FP32', shape: [-1, 2] }],
            })
          : turning(1)(question);
      const result = await ended(
        start({ golden: cosine(generated), runtimes: { me: turning(0), stable: other }, peers: ['stable'] }),
      );
      assert.deepEqual([result.state, result.passed, result.compared, result.score], ['Done', 4, 0, null]);
      assert.match(result.problem ?? '', /outputs differ from stable's/);
    });

    it('tries sizes until the model accepts one, and has no cases when it accepts none', async () => {
      const picky =
        (takes: readonly number[]): Runtime =>
        (question) => {
          if (question.method === 'GET')
            return answer({
              inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, -1] }],
              outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }],
            });
          const x = decodeInfer(new Uint8Array(question.body ?? []), question.jsonBytes ?? 0, defaultDecodeLimits)
            .inputs['x'];
          return takes.includes(x?.dims[1] ?? 0)
            ? outputs(1, 1, 2)
            : { kind: 'refused', status: 500, why: '500: wrong size' };
        };
      const found = await ended(start({ golden: cosine(generated), runtimes: { me: picky([64]) } }));
      assert.deepEqual([found.n, found.passed], [4, 4]);
      stop.abort();
      await running;
      stop = new AbortController();
      const none = await ended(start({ golden: cosine(generated), runtimes: { me: picky([]) } }));
      assert.deepEqual(
        [none.state, none.n, none.problem],
        ['Done', 0, 'no cases were generated: the model accepts none of the generated inputs: 500: wrong size'],
      );
    });

    it('sends texts to an embedding model', async () => {
      const embedding =
        (...vector: readonly number[]): Runtime =>
        ({ path, body }) => {
          assert.equal(path, '/v1/embeddings');
          const { input } = JSON.parse(Buffer.from(body ?? []).toString()) as { readonly input: readonly string[] };
          return answer({ data: input.map((_text, index) => ({ index, embedding: vector })) });
        };
      const result = await ended(
        start({
          golden: cosine(generated),
          task: 'Embedding',
          runtimes: { me: embedding(1, 0.1), stable: embedding(1, 0) },
          peers: ['stable'],
        }),
      );
      assert.deepEqual([result.n, result.passed, result.score?.toFixed(3)], [4, 4, '0.995']);
      stop.abort();
      await running;
      stop = new AbortController();
      const longer = await ended(
        start({
          golden: cosine(generated),
          task: 'Embedding',
          runtimes: { me: embedding(1, 0, 0), stable: embedding(1, 0) },
          peers: ['stable'],
        }),
      );
      assert.deepEqual(
        [longer.score, longer.problem],
        [-1, "case 1: output 'embedding' has shape [1,3] instead of [1,2]"],
      );
    });
  });
});
