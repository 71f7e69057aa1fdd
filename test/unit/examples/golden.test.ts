/** The golden sets of the examples, read as a sidecar reads them, and the program that records a golden set. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { linesOf, withAnswer } from '../../../examples/golden/set.ts';
import { pickGoldenFile } from '../../../operator/golden/golden-set.ts';
import { bytesInMemory, type Bytes } from '../../../runtime/golden/bytes.ts';
import { openSet } from '../../../runtime/golden/set.ts';

const folder = fileURLToPath(new URL('../../../examples', import.meta.url));
const bytes = (text: string): Bytes => bytesInMemory(new Uint8Array(new TextEncoder().encode(text)));

describe("the examples' golden sets", () => {
  for (const file of ['golden/minilm.yaml']) {
    it(`${file} is a set that the operator accepts and the sidecar reads`, () => {
      const picked = pickGoldenFile(
        parse(readFileSync(`${folder}/${file}`, 'utf8')) as Parameters<typeof pickGoldenFile>[0],
      );
      assert.ok(picked.kind === 'file' && 'text' in picked.file);
      const set = openSet(bytes(picked.file.text), 'minilm');
      assert.ok(set.n >= 8);
      assert.equal([...set.cases()].length, set.n);
    });
  }

  it("golden/minilm.yaml has an answer of MiniLM's size for every input", () => {
    const { data } = parse(readFileSync(`${folder}/golden/minilm.yaml`, 'utf8')) as {
      readonly data: Readonly<Record<string, string>>;
    };
    const cases = [...openSet(bytes(data['golden.jsonl'] ?? ''), 'minilm').cases()];
    assert.ok(cases.every(({ expected }) => expected?.['embedding']?.dims[1] === 384));
    const questions = linesOf(readFileSync(`${folder}/golden/minilm-questions.jsonl`, 'utf8'), 'questions');
    assert.deepEqual(
      questions.map(({ request }) => request['input']),
      cases.map(
        ({ question }) =>
          (JSON.parse(Buffer.from(question.body ?? []).toString()) as { readonly input: unknown }).input,
      ),
    );
  });
});

describe('recording a golden set', () => {
  let server: Server;
  let url = '';
  before(async () => {
    server = createServer((request, response) => {
      if (request.url === '/v1/embeddings')
        response.end('{"object":"list","data":[{"index":0,"embedding":"AACAPw=="}],"usage":{}}');
      else if (request.url === '/v2/models/m/infer')
        response.end('{"model_name":"m","outputs":[{"name":"y","datatype":"FP32","shape":[1],"data":[2]}]}');
      else response.writeHead(404).end('unknown model');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.close();
  });

  const record = async (line: string, model = 'm'): Promise<string> => {
    const [question] = linesOf(line, 'f');
    assert.ok(question !== undefined);
    return withAnswer(question, { url, model });
  };

  it('writes answers that are read back as the expected ones', async () => {
    const text = await record('{"request": {"input": "a"}}');
    const tensors = await record(
      '{"request": {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}}',
    );
    const [first, second] = openSet(bytes(`${text}\n${tensors}`), 'm').cases();
    assert.deepEqual(first?.expected?.['embedding']?.data, Float32Array.of(1));
    assert.deepEqual(second?.expected?.['y']?.data, Float32Array.of(2));
  });

  it('names the line that the model refuses, with its message', async () => {
    await assert.rejects(
      record('{"request": {"inputs": []}}', 'other'),
      /f, line 1: the model answered 404: unknown model/,
    );
  });

  for (const [name, line, says] of [
    ['a line that is not JSON', '{"request"', /f, line 1/],
    ['a line without a request', '{"input": "a"}', /f, line 1: the line has no request/],
  ] as const) {
    it(`refuses ${name}`, () => assert.throws(() => linesOf(line, 'f'), says));
  }
});
