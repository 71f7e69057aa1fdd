/**
 * The model server over HTTP with ONNX Runtime: every endpoint, every form of a body, and every kind of invalid
 * request.
 */
import assert from 'node:assert/strict';
import { gzipSync, deflateSync } from 'node:zlib';
import { ask, askRaw, binaryBody, inputOf, jsonOf, splitBody, type Ask } from '../support/infer-client.ts';
import { endServers, startServer, type RunningServer } from '../support/model-server.ts';
import { identity, matmul } from '../support/onnx-models.ts';

const infer = '/v2/models/m/infer';
const revision = '6c9f01ab2d';
const good = { inputs: [inputOf([1, 2, 3, 4])] };

describe('model server', () => {
  let running: RunningServer;
  const call = (path: string, request?: Ask) => ask(running.url, path, request);
  before(async () => {
    running = await startServer({ model: matmul(), options: { bodyLimitBytes: 4 * 2 ** 20 } });
  });
  after(endServers);

  // prettier-ignore
  const endpoints: readonly { readonly path: string; readonly method?: 'POST';
    readonly status?: number; readonly want: unknown }[] = [
    { path: '/v2/health/live', want: { live: true } },
    { path: '/v2/health/ready', want: { ready: true, live: true } },
    { path: '/startup', want: { started: true, state: 'ready' } },
    { path: '/v2', want: { name: 'onnx-operator', version: '0.0.0',
        extensions: ['binary_tensor_data', 'model_repository', 'model_configuration', 'statistics'] } },
    { path: '/v2/models/m', want: { name: 'm', versions: [revision],
        platform: 'onnx_onnxv1', inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
        outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }] } },
    { path: '/v2/models/m/ready', want: { name: 'm', ready: true } },
    { path: `/v2/models/m/versions/${revision}/ready`, want: { name: 'm', ready: true } },
    { path: '/v2/repository/index', method: 'POST',
      want: [{ name: 'm', version: revision, state: 'READY', reason: '' }] },
    { path: '/v2/models/other', status: 404, want: { error: "unknown model 'other'; available: 'm'" } },
    { path: '/v2/models/m/versions/1', status: 404,
      want: { error: `unknown model 'm version 1'; available: 'm version ${revision}'` } },
    { path: '/v2/models/m/nothing', status: 404, want: { error: 'unknown endpoint: GET /v2/models/m/nothing' } },
    { path: infer, status: 405, want: { error: `${infer} does not support GET: use POST` } },
    { path: '/v2/health/ready/', want: { ready: true, live: true } },
    { path: '/v1/models/other', status: 404, want: {
        error: { message: "unknown model 'other'; available: 'm'",
        type: 'invalid_request_error', param: 'model', code: 'model_not_found' } } },
    { path: '/v1/models', method: 'POST', status: 405,
      want: { error: { message: '/v1/models does not support POST: use GET',
        type: 'invalid_request_error', param: null, code: 'method_unknown' } } },
    { path: '/v1/nothing', status: 404, want: {
        error: { message: 'unknown endpoint: GET /v1/nothing',
        type: 'invalid_request_error', param: null, code: 'path_unknown' } } },
    { path: '/', status: 404, want: { error: 'unknown endpoint: GET /' } },
  ];
  for (const { path, method = 'GET', status = 200, want } of endpoints) {
    it(`answers ${method} ${path} with ${status}`, async () => {
      const seen = await call(path, { method });
      assert.deepEqual([seen.status, jsonOf(seen)], [status, want]);
    });
  }

  it("lists the model in the form of OpenAI's API", async () => {
    const { object, data } = jsonOf(await call('/v1/models')) as {
      object: string;
      data: { id: string; object: string; created: number }[];
    };
    assert.deepEqual(
      [object, data.length, data[0]?.id, data[0]?.object, Number.isInteger(data[0]?.created)],
      ['list', 1, 'm', 'model', true],
    );
    assert.deepEqual(jsonOf(await call('/v1/models/m/')), data[0]);
  });

  it('explains how a model can answer /v1/embeddings', async () => {
    const seen = await call('/v1/embeddings', { body: JSON.stringify({ model: 'm', input: 'a' }) });
    assert.deepEqual([seen.status, (jsonOf(seen) as { error: { code: string } }).error.code], [404, 'task_missing']);
  });

  it("describes the model's configuration in Triton's form", async () => {
    const config = jsonOf(await call('/v2/models/m/config')) as { max_batch_size: number; input: unknown };
    assert.deepEqual([config.max_batch_size, config.input], [8, [{ name: 'x', data_type: 'TYPE_FP32', dims: [4] }]]);
  });

  // prettier-ignore
  const forms: readonly { readonly name: string; readonly request: Ask }[] = [
    { name: 'JSON', request: { body: JSON.stringify(good) } },
    { name: "JSON at a path with the model's version", request: { body: JSON.stringify(good) } },
    { name: 'JSON without a length', request: { body: JSON.stringify(good), chunked: true } },
    { name: 'gzipped JSON', request: { body: gzipSync(JSON.stringify(good)),
        headers: { 'content-encoding': 'gzip' } } },
    { name: 'deflated JSON', request: { body: deflateSync(JSON.stringify(good)),
        headers: { 'content-encoding': 'deflate' } } },
    { name: 'binary data', request: binaryBody(
        { inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', parameters: { binary_data_size: 16 } }] },
        new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer)) },
  ];
  for (const { name, request } of forms) {
    it(`infers from ${name}`, async () => {
      const seen = await call(name.endsWith('version') ? `/v2/models/m/versions/${revision}/infer` : infer, request);
      assert.deepEqual(jsonOf(seen), {
        model_name: 'm',
        model_version: revision,
        outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2], data: [12, 1] }],
      });
    });
  }

  it('infers from raw bytes and answers in the same form', async () => {
    const { json, blob } = splitBody(
      await call(infer, {
        body: new Uint8Array(Float32Array.of(1, 2, 3, 4, 0, 1, 0, 0).buffer),
        headers: { 'inference-header-content-length': '0' },
      }),
    );
    assert.deepEqual(json, {
      model_name: 'm',
      model_version: revision,
      outputs: [{ name: 'y', datatype: 'FP32', shape: [2, 2], parameters: { binary_data_size: 16 } }],
    });
    assert.deepEqual([...new Float32Array(Uint8Array.from(blob).buffer)], [12, 1, 0, 1]);
  });

  it('returns outputs in binary if requested', async () => {
    const { blob } = splitBody(
      await call(infer, { body: JSON.stringify({ ...good, parameters: { binary_data_output: true } }) }),
    );
    assert.deepEqual([...new Float32Array(Uint8Array.from(blob).buffer)], [12, 1]);
  });

  it('returns the id, the request id and the time of each stage', async () => {
    const seen = await call(infer, {
      body: JSON.stringify({ ...good, id: '42' }),
      headers: { 'x-request-id': 'abc-1' },
    });
    assert.equal((jsonOf(seen) as { id: string }).id, '42');
    assert.equal(seen.headers['x-request-id'], 'abc-1');
    assert.match(
      String(seen.headers['server-timing']),
      /^decode;dur=[\d.]+, queue;dur=[\d.]+, infer;dur=[\d.]+, encode;dur=[\d.]+$/,
    );
  });

  it('infers from and to JSON that is too large for the HTTP thread', async () => {
    const rows = 12_000;
    const data = Array.from({ length: rows * 4 }, (_, index) => index % 7);
    const seen = await call(infer, { body: JSON.stringify({ inputs: [inputOf(data, { shape: [rows, 4] })] }) });
    const values = (jsonOf(seen) as { outputs: { data: number[] }[] }).outputs[0]?.data;
    assert.deepEqual([values?.length, values?.slice(0, 4)], [rows * 2, [0 + 2 + 6, 1 + 2 - 3, 4 + 6 + 0, 5 + 6 - 0]]);
  });

  const large = 'x'.repeat(100_000);
  // prettier-ignore
  const wrong: readonly { readonly name: string; readonly request: Ask;
    readonly status?: number; readonly says: RegExp }[] = [
    { name: 'an empty body', request: { method: 'POST', body: '' }, says: /the body is empty/ },
    { name: 'text that is not JSON', request: { body: 'hello' }, says: /not JSON/ },
    { name: 'large text that is not JSON', request: { body: large }, says: /not JSON/ },
    { name: 'large JSON with a wrong value at its end',
      request: { body: JSON.stringify({ inputs: [
        inputOf([...Array<number>(40_000).fill(1), 'x'], { shape: [40_001] })] }) },
      says: /input 'x': element 40000 is "x", which is not FP32/ },
    { name: 'an unknown input', request: { body: JSON.stringify(
        { inputs: [inputOf([1], { name: 'z' })] }) }, says: /unknown input 'z': the model's inputs are 'x'/ },
    { name: 'a missing input', request: { body: JSON.stringify({ inputs: [] }) }, says: /input 'x' is missing/ },
    { name: 'another datatype', request: { body: JSON.stringify(
        { inputs: [inputOf([1, 2, 3, 4], { datatype: 'INT64' })] }) },
      says: /input 'x' is INT64, expected FP32/ },
    { name: 'another shape', request: { body: JSON.stringify({ inputs: [inputOf([1, 2, 3])] }) },
      says: /input 'x' has shape \[1,3\], expected \[batch,4\]/ },
    { name: 'another rank', request: { body: JSON.stringify(
        { inputs: [inputOf([1, 2, 3, 4], { shape: [4] })] }) }, says: /input 'x' has shape \[4\]/ },
    { name: 'an unknown output', request: { body: JSON.stringify(
        { ...good, outputs: [{ name: 'q' }] }) }, says: /unknown output 'q': the model's outputs are 'y'/ },
    { name: 'a header that is not a number', request: { body: '{}',
        headers: { 'inference-header-content-length': '1e3' } }, says: /Inference-Header-Content-Length is '1e3'/ },
    { name: 'a header longer than the body', request: { body: '{}',
        headers: { 'inference-header-content-length': '99' } }, says: /the body has only 2 bytes/ },
    { name: 'a raw body with half an element',
      request: { body: 'abc', headers: { 'inference-header-content-length':
        '0' } }, says: /does not contain whole elements of FP32/ },
    { name: 'an unknown encoding', request: { body: '{}',
        headers: { 'content-encoding': 'br' } }, says: /Content-Encoding br is not one of/ },
    { name: 'a body that is not gzip', request: { body: '{}',
        headers: { 'content-encoding': 'gzip' } }, says: /the body is not valid gzip/ },
    { name: 'gzip that is cut off', request: { body: gzipSync(JSON.stringify(good)).subarray(0, 20),
        headers: { 'content-encoding': 'gzip' } }, says: /the body is not valid gzip/ },
    { name: 'an invalid deadline', request: { body: JSON.stringify(good),
        headers: { 'x-request-timeout-ms': 'soon' } }, says: /x-request-timeout-ms is not a number/ },
    { name: 'a body over the limit', request: { body: ' '.repeat(5 * 2 ** 20) },
      status: 413, says: /the body is too large, the limit is 4194304 bytes/ },
    { name: 'a body over the limit, of undeclared length', request: { body: ' '.repeat(5 * 2 ** 20), chunked: true },
      status: 413, says: /the body is too large, the limit is 4194304 bytes/ },
    { name: 'a body over the limit after decompression',
      request: { body: gzipSync(' '.repeat(5 * 2 ** 20)), headers: { 'content-encoding': 'gzip' } },
      status: 413, says: /the body is too large, the limit is 4194304 bytes/ },
  ];
  for (const { name, request, status = 400, says } of wrong) {
    it(`answers ${name} with ${status}, and keeps running`, async () => {
      const seen = await call(infer, request);
      const { error } = jsonOf(seen) as { error: string };
      assert.equal(seen.status, status, error);
      assert.match(error, says);
      assert.equal((await call(infer, { body: JSON.stringify(good) })).status, 200);
    });
  }

  // prettier-ignore
  const broken: readonly { readonly name: string; readonly bytes: string; readonly status: number }[] = [
    { name: 'text that is not HTTP', bytes: 'HELLO\r\n\r\n', status: 400 },
    { name: 'two lengths',
      bytes: `POST ${infer} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}`, status: 400 },
    { name: 'a length and chunks at once', bytes:
        `POST ${infer} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}`, status: 400 },
    { name: 'a negative length',
      bytes: `POST ${infer} HTTP/1.1\r\nhost: x\r\ncontent-length: -2\r\n\r\n`, status: 400 },
    { name: 'endless headers', bytes: `GET /v2 HTTP/1.1\r\nhost: x\r\nx-long: ${'a'.repeat(
        20_000)}\r\n\r\n`, status: 431 },
  ];
  for (const { name, bytes, status } of broken) {
    it(`answers ${name} with ${status}, and keeps running`, async () => {
      const text = await askRaw(running.server.port, bytes);
      assert.match(text, new RegExp(`^HTTP/1.1 ${status} `));
      assert.ok((JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)) as { error: string }).error.length > 0);
      assert.equal((await call('/v2/health/live')).status, 200);
    });
  }

  it('counts its answers for the report and for Prometheus', async () => {
    const counters = jsonOf(await ask(running.debugUrl, '/counters')) as {
      bootId: string;
      ready: boolean;
      traffic: { sizeClass: number; ok: number; errors: Record<string, number> }[];
      memory: { anonymousBytes: number };
    };
    assert.match(counters.bootId, /^[0-9a-f-]{36}$/);
    assert.ok(counters.ready && counters.memory.anonymousBytes > 0);
    assert.ok((counters.traffic.find(({ sizeClass }) => sizeClass === 4)?.ok ?? 0) > 0);
    assert.ok((counters.traffic.find(({ sizeClass }) => sizeClass === 0)?.errors['invalid'] ?? 0) > 0);
    const metrics = (await ask(running.debugUrl, '/metrics')).body.toString();
    for (const name of [
      'onnx_runtime_requests_total{route="infer",code="200"',
      'onnx_runtime_request_stage_seconds_bucket',
      'onnx_runtime_batch_rows_count',
      'onnx_runtime_queue_depth',
      'onnx_runtime_refused_total{reason="REQUEST_INVALID"',
      'onnx_runtime_workers_ready{',
    ])
      assert.ok(metrics.includes(name), name);
  });

  it('reports the active configuration', async () => {
    const config = jsonOf(await ask(running.debugUrl, '/config')) as {
      execution: { workers: number; arena: boolean };
      batching: { maxRows: number };
    };
    assert.deepEqual([config.execution.workers, config.execution.arena, config.batching.maxRows], [1, true, 8]);
  });

  it('adds up its counts for the statistics endpoint', async () => {
    const {
      model_stats: [stats],
    } = jsonOf(await call('/v2/models/m/stats')) as {
      model_stats: {
        inference_count: number;
        execution_count: number;
        inference_stats: { success: { count: number; ns: number } };
      }[];
    };
    assert.ok(
      stats !== undefined &&
        stats.inference_count >= stats.execution_count &&
        stats.inference_stats.success.count > 0 &&
        stats.inference_stats.success.ns > 0,
    );
  });
});

describe('model server and element types', () => {
  afterEach(endServers);

  const types = [
    { type: 'bool', datatype: 'BOOL', data: [true, false, true, true] },
    { type: 'int64', datatype: 'INT64', data: [1, -1, 9007199254740991, 0] },
    { type: 'uint8', datatype: 'UINT8', data: [0, 255, 7, 1] },
    { type: 'float64', datatype: 'FP64', data: [0.1, -1e300, 0, 5] },
    { type: 'string', datatype: 'BYTES', data: ['a', '', 'ünï', '日本'] },
  ] as const;
  for (const { type, datatype, data } of types) {
    it(`accepts and returns ${datatype}`, async () => {
      const running = await startServer({ model: identity(type) });
      try {
        const seen = await ask(running.url, infer, { body: JSON.stringify({ inputs: [inputOf(data, { datatype })] }) });
        assert.deepEqual((jsonOf(seen) as { outputs: unknown[] }).outputs, [
          { name: 'y', datatype, shape: [1, 4], data },
        ]);
      } finally {
        await running.end();
      }
    });
  }

  it('accepts and returns FP16 only as binary data', async () => {
    const running = await startServer({ model: identity('float16') });
    try {
      const bits = new Uint8Array(Uint16Array.of(0x3c00, 0xc000, 0x7c00, 0x0001).buffer);
      const inputs = [{ name: 'x', shape: [1, 4], datatype: 'FP16', parameters: { binary_data_size: 8 } }];
      const { blob } = splitBody(
        await ask(running.url, infer, binaryBody({ inputs, parameters: { binary_data_output: true } }, bits)),
      );
      assert.deepEqual([...blob], [...bits]);
      const refused = await ask(running.url, infer, binaryBody({ inputs }, bits));
      assert.equal(refused.status, 400);
      assert.match((jsonOf(refused) as { error: string }).error, /output 'y' is FP16, which JSON cannot express/);
    } finally {
      await running.end();
    }
  });
});
