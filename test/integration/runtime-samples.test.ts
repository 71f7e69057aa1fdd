/**
 * Which requests a server samples (keeps with their answers for another revision), for every form of a request. Replays
 * send samples again: they get the same answers, and a busy server refuses them earlier than requests of users.
 */
import assert from 'node:assert/strict';
import { peersTokenHeader } from '../../api/access.ts';
import { besideHeader } from '../../runtime/call/beside.ts';
import { readTaken, type Sample } from '../../runtime/sampling/sample.ts';
import { doorFor, givenToken, withToken } from '../support/door.ts';
import { ask, binaryBody, inputOf, jsonOf, type Ask } from '../support/infer-client.ts';
import { body, endAll, gated, infer } from '../support/gated-server.ts';
import { endServers, makeServer, startServer, type RunningServer } from '../support/model-server.ts';
import { matmul } from '../support/onnx-models.ts';
import { tinyEncoder, writeTinyEncoder } from '../support/tiny-encoder.ts';

const four = new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer);
const versioned = '/v2/models/m/versions/6c9f01ab2d/infer';

async function sampleOf(running: RunningServer, path: string, request: Ask): Promise<Sample> {
  await ask(running.debugUrl, '/counters?sample=1', { headers: withToken });
  assert.equal((await ask(running.url, path, request)).status, 200);
  const taken = await ask(running.debugUrl, '/samples?max=5', { body: '', headers: withToken });
  const samples = readTaken(new Uint8Array(taken.body))?.samples;
  assert.equal(samples?.length, 1);
  return samples![0]!;
}

/** Sends a request as a candidate's sidecar does: to the port for sidecars, with a lower priority than users. */
function replay(running: RunningServer, { path, request }: Sample) {
  const form: Record<string, string> =
    request.jsonBytes === undefined ? {} : { 'inference-header-content-length': String(request.jsonBytes) };
  return ask(running.debugUrl, path, { body: request.body, headers: { ...withToken, [besideHeader]: '1', ...form } });
}

async function counted(running: RunningServer): Promise<number> {
  const { traffic } = jsonOf(await ask(running.debugUrl, '/counters')) as {
    traffic: { ok: number; errors: Record<string, number> }[];
  };
  return traffic.reduce((sum, { ok, errors }) => sum + ok + Object.values(errors).reduce((all, n) => all + n, 0), 0);
}

describe('samples of a server', () => {
  afterEach(endAll);

  const head = {
    inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', parameters: { binary_data_size: 16 } }],
    parameters: { binary_data_output: true },
  };
  const forms: readonly (readonly [string, Ask])[] = [
    ['JSON', { body: JSON.stringify({ inputs: [inputOf([1, 2, 3, 4])] }) }],
    ['JSON and binary data', binaryBody(head, four)],
    ['raw bytes', { body: four, headers: { 'inference-header-content-length': '0' } }],
  ];
  for (const [name, request] of forms) {
    it(`are complete when sent as ${name}, and get the same answers in a replay`, async () => {
      const running = await startServer({ model: matmul(), options: { door: doorFor() } });
      const sample = await sampleOf(running, versioned, request);
      assert.deepEqual([sample.path, sample.sizeClass, sample.tier], [infer, 4, 'default']);
      const again = await replay(running, sample);
      assert.equal(again.status, 200);
      assert.deepEqual(again.body, Buffer.from(sample.answer.body));
      assert.equal(await counted(running), 1);
    });
  }

  it('are also kept for embeddings', async () => {
    const embedding = {
      tokenizer: 'tokenizer.json',
      pooling: 'None',
      normalize: true,
      maxTokens: 16,
      onTooLong: 'Refuse',
    } as const;
    const running = await makeServer({
      model: tinyEncoder(),
      config: { name: 'tiny', task: 'Embedding', embedding },
      options: { door: doorFor() },
    });
    await writeTinyEncoder(running.folder);
    await running.server.load();
    const sample = await sampleOf(running, '/v1/embeddings', {
      body: JSON.stringify({ model: 'tiny', input: 'hello world' }),
    });
    assert.equal(sample.path, '/v1/embeddings');
    assert.deepEqual((await replay(running, sample)).body, Buffer.from(sample.answer.body));
    assert.equal(await counted(running), 1);
    await endServers();
  });

  it('are not kept for refused requests, for requests of sidecars, or while sampling is off', async () => {
    const running = await startServer({ model: matmul(), options: { door: doorFor() } });
    await ask(running.url, infer, { body });
    await ask(running.debugUrl, '/counters?sample=1', { headers: withToken });
    assert.equal((await ask(running.url, infer, { body: '{"inputs": []}' })).status, 400);
    assert.equal((await ask(running.debugUrl, infer, { body, headers: withToken })).status, 200);
    const taken = await ask(running.debugUrl, '/samples', { body: '', headers: withToken });
    assert.deepEqual(readTaken(new Uint8Array(taken.body)), { samples: [], tooLarge: 0 });
  });
});

describe('without the token of the revision', () => {
  afterEach(endAll);
  const wrong = { authorization: `Bearer ${'b'.repeat(43)}` };
  const taken = async (running: RunningServer) =>
    readTaken(new Uint8Array((await ask(running.debugUrl, '/samples?max=5', { body: '', headers: withToken })).body))
      ?.samples.length;

  for (const [name, headers] of [
    ['no token', {}],
    ['another token', wrong],
    ['half of the token', { authorization: withToken.authorization.slice(0, -1) }],
    [
      'the token in another header',
      {
        [peersTokenHeader]: givenToken,
        'proxy-authorization': withToken.authorization,
        cookie: `authorization=${withToken.authorization}`,
      },
    ],
    ['the token in another form', { authorization: `Basic ${Buffer.from(`:${givenToken}`).toString('base64')}` }],
  ] as const) {
    it(`does not turn sampling on (${name})`, async () => {
      const running = await startServer({ model: matmul(), options: { door: doorFor() } });
      const counters = await ask(running.debugUrl, '/counters?sample=1', { headers });
      assert.equal(counters.status, 200);
      await ask(running.url, infer, { body });
      assert.equal(await taken(running), 0);
    });

    it(`does not return samples or turn sampling off (${name})`, async () => {
      const running = await startServer({ model: matmul(), options: { door: doorFor() } });
      await ask(running.debugUrl, '/counters?sample=1', { headers: withToken });
      await ask(running.url, infer, { body });
      const refused = await ask(running.debugUrl, '/samples?max=16', { body: '', headers });
      assert.deepEqual([refused.status, /the revision's token/.test(refused.body.toString())], [401, true]);
      await ask(running.debugUrl, '/counters?sample=0', { headers });
      assert.equal(await taken(running), 1);
    });

    it(`counts a request at the port for sidecars as a user's (${name})`, async () => {
      const running = await startServer({ model: matmul(), options: { door: doorFor() } });
      assert.equal(
        (await ask(running.debugUrl, infer, { body, headers: { ...headers, [besideHeader]: '1' } })).status,
        200,
      );
      assert.equal(await counted(running), 1);
    });
  }

  it('a server without a token does not sample', async () => {
    const running = await startServer({ model: matmul() });
    await ask(running.debugUrl, '/counters?sample=1', { headers: withToken });
    await ask(running.url, infer, { body });
    assert.equal((await ask(running.debugUrl, '/samples?max=16', { body: '', headers: withToken })).status, 401);
  });

  it('a server with a token does not sample without a quality gate', async () => {
    const running = await startServer({ model: matmul(), options: { door: doorFor(undefined, 0) } });
    await ask(running.debugUrl, '/counters?sample=1', { headers: withToken });
    await ask(running.url, infer, { body });
    assert.equal(await taken(running), 0);
  });

  it('the token is not in any answer', async () => {
    const running = await startServer({ model: matmul(), options: { door: doorFor() } });
    for (const path of ['/config', '/counters', '/metrics'])
      assert.ok(!(await ask(running.debugUrl, path)).body.toString().includes(withToken.authorization.slice(7)), path);
  });
});

describe('a request of a sidecar', () => {
  afterEach(endAll);

  it("is refused while a user's request runs, and answered when there is room again", async () => {
    const { gate, running, call } = await gated({}, { door: doorFor() });
    const arrived = gate.arrival();
    const user = call();
    await arrived;
    const refused = await ask(running.debugUrl, infer, { body, headers: { ...withToken, [besideHeader]: '1' } });
    assert.deepEqual([refused.status, refused.headers['x-error-code']], [429, 'NOT_IDLE']);
    gate.letGo();
    assert.equal((await user).status, 200);
    assert.equal(
      (await ask(running.debugUrl, infer, { body, headers: { ...withToken, [besideHeader]: '1' } })).status,
      200,
    );
    assert.equal(await counted(running), 1);
  });

  it("is queued like a user's if it lacks the header for sidecars", async () => {
    const { gate, running, call } = await gated({}, { door: doorFor() });
    const arrived = gate.arrival();
    const user = call();
    await arrived;
    const golden = ask(running.debugUrl, infer, { body, headers: withToken });
    gate.letGo();
    assert.deepEqual([(await user).status, (await golden).status], [200, 200]);
    assert.equal(await counted(running), 1);
  });
});
