/** Which golden run (of inputs with known answers) a pod's config starts, and how its cases are sent. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { paths, ports } from '../../../../../api/names.ts';
import type { GoldenConfig } from '../../../../../api/runtime-config.ts';
import type { Question } from '../../../../../runtime/protocol/ask-runtime.ts';
import { goldenAsk } from '../../../../../runtime/sidecar/golden/golden-ask.ts';
import { PodGolden } from '../../../../../runtime/sidecar/golden/pod-golden.ts';
import { hastyClock, keepingLogger } from '../../../../support/artifact.ts';
import { eventually } from '../../../../support/eventually.ts';
import { givenConfig } from '../../../../support/model-server.ts';

const set = (id: string): GoldenConfig => ({
  id,
  metric: 'Cosine',
  min: 0.9,
  source: { kind: 'File', file: 'golden.jsonl' },
});
const line = '{"request":{"input":"a"},"expected":{"data":[{"embedding":[1]}]}}\n';

describe('PodGolden', () => {
  let folder = '';
  const stop = new AbortController();
  let running: Promise<void>;
  let golden: PodGolden;
  const asked: Question[] = [];
  const clock = hastyClock();
  const mount = (config: unknown): void => writeFileSync(join(folder, paths.configFile), JSON.stringify(config));

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'pod-golden-'));
    writeFileSync(join(folder, 'golden.jsonl'), line);
    golden = new PodGolden({
      configDir: folder,
      cacheDir: folder,
      self: 'me',
      ready: () => true,
      clock,
      random: () => 0,
      logger: keepingLogger(),
      ask: (_address, question) => {
        asked.push(question);
        return Promise.resolve({
          kind: 'answer',
          body: new Uint8Array(Buffer.from('{"data":[{"embedding":[2]}]}')),
          jsonBytes: undefined,
        });
      },
    });
    running = golden.run(stop.signal);
  });
  after(async () => {
    stop.abort();
    await running;
    rmSync(folder, { recursive: true });
  });

  it('has no result without a config, with an invalid one, or with one that names no set', async () => {
    assert.equal(golden.result(), undefined);
    mount('no config');
    mount(givenConfig());
    assert.equal(golden.result(), undefined);
  });

  it("runs the set that the config names, under the model's name", async () => {
    mount({ ...givenConfig({ name: 'ranker' }), golden: set('one') });
    const result = await eventually('a result', () =>
      golden.result()?.state === 'Done' ? golden.result() : undefined,
    );
    assert.deepEqual([result.id, result.score], ['one', 1]);
    assert.equal(
      (JSON.parse(Buffer.from(asked[0]?.body ?? []).toString()) as { readonly model: string }).model,
      'ranker',
    );
  });

  it('starts a new run when the config names another set, and not for the same set', async () => {
    mount({ ...givenConfig({ name: 'ranker' }), golden: set('two') });
    const result = await eventually('another result', () =>
      golden.result()?.id === 'two' && golden.result()?.state === 'Done' ? golden.result() : undefined,
    );
    assert.equal(result.score, 1);
    mount({ ...givenConfig({ name: 'ranker' }), golden: set('two'), warmup: { requests: 9, timeoutMs: 1 } });
    golden.offer(['10.0.0.1']);
    const looks = clock.slept.length;
    await eventually('some more looks at the config', () => clock.slept.length > looks + 3);
    assert.equal(asked.length, 2);
  });
});

describe('a golden question', () => {
  const servers: Server[] = [];
  const agent = new Agent();
  const address = `127.87.${process.pid % 250}.1`;
  async function listen(
    port: number,
    answer: (path: string) => readonly [status: number, body: string],
  ): Promise<void> {
    const server = createServer((request, response) => {
      const [status, body] = answer(request.url ?? '');
      response.writeHead(status).end(body);
    });
    servers.push(server);
    server.listen(port, address);
    await once(server, 'listening');
  }
  const put = (): ReturnType<ReturnType<typeof goldenAsk>> =>
    goldenAsk(agent)(
      address,
      { method: 'POST', path: '/v1/embeddings', body: Buffer.from('{}') },
      new AbortController().signal,
    );

  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.close();
      server.closeAllConnections();
    }
  });
  after(() => agent.destroy());

  it('goes to the port for sidecars', async () => {
    await listen(ports.metrics, () => [200, 'here']);
    const answered = await put();
    assert.ok(answered.kind === 'answer' && Buffer.from(answered.body).toString() === 'here');
  });

  it('goes to the port for users when the port for sidecars answers 404', async () => {
    await listen(ports.metrics, () => [404, '{"error":"unknown endpoint"}']);
    await listen(ports.runtime, () => [200, 'there']);
    const answered = await put();
    assert.ok(answered.kind === 'answer' && Buffer.from(answered.body).toString() === 'there');
  });

  for (const [name, status, kind, why] of [
    ['is refused for good', 400, 'refused', /^400: unknown input 'x'$/],
    ['fails', 500, 'refused', /^500: unknown input 'x'$/],
    ['finds no room', 429, 'unavailable', /^429: /],
    ['comes too early', 503, 'unavailable', /^503: /],
  ] as const) {
    it(`${name}, in the server's words`, async () => {
      await listen(ports.metrics, () => [status, `{"error":"unknown input 'x'"}`]);
      const answered = await put();
      assert.ok(answered.kind !== 'answer');
      assert.deepEqual([answered.kind, why.test(answered.why)], [kind, true], answered.why);
    });
  }

  it('is unavailable when nothing listens', async () => {
    const answered = await put();
    assert.ok(answered.kind === 'unavailable' && /nothing listens at 127\.87\./.test(answered.why));
  });
});
