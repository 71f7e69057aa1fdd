/** The request that `npm run load` sends. The program builds the request from the model's metadata on the server. */
import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inputsFor, questionFor } from '../../../../examples/load/question.ts';

const never = new AbortController().signal;

async function withServer(
  answer: (path: string, body: string) => object | undefined,
  use: (url: URL) => Promise<void>,
): Promise<void> {
  const listener: RequestListener = (request, response) => {
    let body = '';
    request
      .on('data', (chunk: Buffer) => (body += chunk.toString()))
      .on('end', () => {
        const said = answer(request.url ?? '', body);
        response
          .writeHead(said === undefined ? 404 : 200, { 'content-type': 'application/json', connection: 'close' })
          .end(JSON.stringify(said ?? { error: 'not here' }));
      });
  };
  const server = createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  try {
    await use(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  } finally {
    server.close();
  }
}

describe('the question of npm run load', () => {
  it('is a text for the first listed model when the server answers /v1/embeddings', async () => {
    const answer = (path: string): object | undefined =>
      path === '/v2/repository/index'
        ? [{ name: 'minilm' }]
        : path === '/v1/embeddings'
          ? { data: [], usage: {} }
          : undefined;
    await withServer(answer, async (url) => {
      const question = await questionFor(url, { text: 'x' }, never);
      assert.deepEqual([question.name, question.path], ['minilm', '/v1/embeddings']);
      await question.send(never);
    });
  });

  it("is a tensor of the model's shapes when it does not", async () => {
    const asked: string[] = [];
    const answer = (path: string, body: string): object | undefined => {
      if (path.endsWith('/infer')) asked.push(body);
      return path === '/v2/models/m'
        ? { inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }] }
        : path.endsWith('/infer')
          ? {}
          : undefined;
    };
    await withServer(answer, async (url) =>
      assert.equal((await questionFor(url, { model: 'm', text: '' }, never)).path, '/v2/models/m/infer'),
    );
    assert.deepEqual(JSON.parse(asked[0] ?? ''), {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [0.5, 0.5] }],
    });
  });

  it("fails with the server's message when there is no such model", async () => {
    await withServer(
      () => undefined,
      async (url) =>
        assert.rejects(questionFor(url, { model: 'm', text: '' }, never), {
          code: 'SOURCE_UNAVAILABLE',
          message: /\/v2\/models\/m was answered with 404: .*not here/,
        }),
    );
  });

  it('fails when no server listens', async () => {
    await assert.rejects(questionFor(new URL('http://127.0.0.1:1'), { text: '' }, never), {
      code: 'SOURCE_UNAVAILABLE',
      message: /ECONNREFUSED|bad port/,
    });
  });

  it('has a value of each type', () => {
    const types = ['FP16', 'BF16', 'INT64', 'UINT8', 'BOOL', 'BYTES'];
    const inputs = types.map((datatype) => ({ name: datatype, datatype, shape: [-1] }));
    assert.deepEqual(
      inputsFor({ inputs }).map(({ data }) => data[0]),
      [0.5, 0.5, 1, 1, true, 'text'],
    );
    assert.deepEqual(inputsFor('nonsense'), []);
  });
});
