/** The requests of the runtime's bench: cases, encodings, texts, flags, control groups. */
import assert from 'node:assert/strict';
import { benchCases, caseNames, rowsOf } from '../../../../bench/runtime/cases.ts';
import { writesFor } from '../../../../bench/runtime/control-group.ts';
import {
  differenceOf,
  encodeMessage,
  tensorMessage,
  textMessage,
  valuesIn,
  type Form,
} from '../../../../bench/runtime/encode.ts';
import { readOrder, type Order } from '../../../../bench/runtime/order.ts';
import { feedsOf } from '../../../../bench/runtime/raw/feeds.ts';
import { commandFor, formFor, peerNames } from '../../../../bench/runtime/servers/commands.ts';
import { pinsOf, whyMissing } from '../../../../bench/runtime/servers/python.ts';
import { sentencesOf } from '../../../../bench/runtime/texts.ts';

const order = (...argv: string[]): Order => {
  const read = readOrder(argv);
  assert.ok(read !== 'help');
  return read;
};

describe('readOrder of bench:runtime', () => {
  it('measures all cases and loads, without peers, and memory over 100,000 requests', () => {
    const { cases, loads, peers, rounds, spanMs, memoryRequests } = order();
    assert.deepEqual([cases.length, loads.length, peers, rounds, spanMs], [10, 8, [], 5, 3000]);
    assert.equal(memoryRequests, 100_000);
  });

  it('is small with --quick', () => {
    const { cases, loads, peers, memoryRequests } = order('--quick');
    assert.deepEqual([cases, loads, peers, memoryRequests], [['mlp-small'], ['c1', 'c8'], [], 0]);
  });

  it('measures memory with chosen cells only when asked', () => {
    assert.equal(order('--only', 'silero').memoryRequests, 0);
    assert.equal(order('--only', 'silero', '--memory', '500').memoryRequests, 500);
  });

  it('takes cases and loads in their own order', () =>
    assert.deepEqual(
      [order('--only', 'ocr-rec', '--only', 'texts').cases, order('--load', 'o80', '--load', 'c1').loads],
      [
        ['texts', 'ocr-rec'],
        ['c1', 'o80'],
      ],
    ));

  it('measures all peers, or one', () =>
    assert.deepEqual([order('--peers').peers, order('--peer', 'fastapi').peers], [peerNames, ['fastapi']]));

  // prettier-ignore
  const wrong: readonly { readonly argv: readonly string[]; readonly message: RegExp }[] = [
    { argv: ['--only', 'gpt'], message: /--only.*'gpt' is not one of mlp-small/ },
    { argv: ['--load', 'c9'], message: /--load.*'c9' is not one of c1/ },
    { argv: ['--peer', 'tgi'], message: /--peer.*'tgi' is not one of fastapi/ },
    { argv: ['--rounds', '0'], message: /--rounds.*from 1 to 100/ },
    { argv: ['--span', '3'], message: /--span.*is not a duration/ },
    { argv: ['--quota', '0'], message: /--quota.*from 0\.1 to 1024/ },
    { argv: ['--memory-limit', 'much'], message: /--memory-limit.*is not an amount of memory/ },
    { argv: ['--fast'], message: /unknown flag "--fast"/ },
  ];
  for (const { argv, message } of wrong)
    it(`refuses ${argv.join(' ')}`, () => assert.throws(() => order(...argv), message));
});

describe('the cases', () => {
  for (const name of caseNames.filter((one) => one !== 'texts'))
    it(`${name} has the same rows in every run`, () => {
      const rows = rowsOf(name);
      assert.equal(rows.length, benchCases[name].different);
      assert.deepEqual(rows[0], rowsOf(name)[0]);
      for (const { shape, data } of rows.flat())
        assert.equal(
          data.length,
          shape.reduce((product, dim) => product * dim, 1),
        );
    });

  it('a batch of the raw loop has the rows one after the other', () => {
    const rows = rowsOf('mlp-small');
    const [first] = feedsOf(rows, 4);
    assert.deepEqual(first?.[0]?.shape, [4, 64]);
    assert.deepEqual(first[0].data.slice(64, 128), rows[1]?.[0]?.data);
    assert.equal(feedsOf(rows, 32).length, 1);
  });

  it('texts are whole sentences on one line', () => {
    const licence = '  1. Title\n\n  One sentence\n  over lines. Another one that is long;\n\n';
    assert.deepEqual(sentencesOf(licence), ['One sentence over lines.', 'Another one that is long;']);
  });
});

describe('the forms of requests', () => {
  const outputs = [{ name: 'y', shape: [1, 3] }];
  const [row = []] = rowsOf('mlp-small');
  const body = (text: string, before = 0): Uint8Array => {
    const data = Buffer.from(Float32Array.of(1, -2, 0.5).buffer);
    if (text === 'bytes') return Buffer.concat([Buffer.alloc(before), data]).subarray(before);
    if (text === 'oip') return Buffer.concat([Buffer.from('{}'), data]);
    const encoded = data.toString('base64');
    if (text === 'openai') return Buffer.from('{"data":[{"embedding":[1,-2,0.5]}]}');
    return Buffer.from(JSON.stringify(text === 'base64' ? { data: encoded } : [encoded]));
  };

  for (const form of ['oip', 'bytes', 'base64', 'base64-list', 'openai'] as const satisfies readonly Form[])
    it(`reads the numbers of an answer: ${form}`, () => {
      const headers = new Map([['inference-header-content-length', '2']]);
      assert.deepEqual([...valuesIn(form, { headers, body: body(form) }, outputs)], [1, -2, 0.5]);
    });

  it('reads numbers that begin anywhere in a larger buffer', () =>
    assert.deepEqual([...valuesIn('bytes', { headers: new Map(), body: body('bytes', 3) }, outputs)], [1, -2, 0.5]));

  it('sends the same bytes to all servers, each in its form', () => {
    const bytes = tensorMessage('bytes', row, outputs).body;
    const oip = tensorMessage('oip', row, outputs);
    const header = Number(oip.headers['inference-header-content-length']);
    assert.deepEqual(Buffer.from(oip.body.subarray(header)), Buffer.from(bytes));
    const { data } = JSON.parse(Buffer.from(tensorMessage('base64', row, outputs).body).toString()) as { data: string };
    assert.deepEqual(Buffer.from(data, 'base64'), Buffer.from(bytes));
  });

  it('encodes a whole HTTP message, with more headers when asked', () => {
    const text = Buffer.from(encodeMessage(textMessage('é'), { 'x-request-timeout-ms': '5' })).toString();
    assert.match(text, /^POST \/v1\/embeddings HTTP\/1\.1\r\nhost: 127\.0\.0\.1\r\n/);
    assert.match(text, /\r\nx-request-timeout-ms: 5\r\ncontent-length: 26\r\n\r\n\{"input":"é","model":"m"\}$/);
  });

  it('compares answers by the largest difference, and never equals answers of different lengths', () => {
    assert.equal(differenceOf(Float32Array.of(1, 4), Float32Array.of(1, 3)), 0.25);
    assert.equal(differenceOf(Float32Array.of(1), Float32Array.of(1, 1)), Infinity);
    assert.equal(differenceOf(Float32Array.of(), Float32Array.of()), Infinity);
  });
});

describe('servers of the bench', () => {
  const asked = { folder: '/f', modelFolder: '/m', cache: '/c', port: 1, cpus: 2, python: '/p' };

  it('ours is started as users start it, with a config file', () => {
    const { argv } = commandFor('ours', { ...asked, model: 'mlp-small' });
    assert.equal(argv.slice(2).join(' '), 'serve /m --port 0 --name m --config /f/serve.json --cache /c');
  });

  it('finds the port in our ready line', () => {
    const { port } = commandFor('ours', { ...asked, model: 'mlp-small' });
    assert.equal(
      typeof port === 'number' ? 0 : port.exec('serving m at http://127.0.0.1:4711 (metrics at x')?.[1],
      '4711',
    );
  });

  it('peers batch only models that are faster in batches', () => {
    const specFor = (model: 'mlp-small' | 'ocr-det'): { maxBatch: number; threads: number } =>
      JSON.parse(commandFor('litserve', { ...asked, model }).env['PEER_SPEC'] ?? '') as {
        maxBatch: number;
        threads: number;
      };
    assert.deepEqual([specFor('mlp-small').maxBatch, specFor('ocr-det').maxBatch], [32, 1]);
  });

  it('infinity takes only texts, and Triton only tensors', () => {
    assert.deepEqual([formFor('infinity', 'minilm'), formFor('infinity', 'minilm-text')], [undefined, 'openai']);
    assert.deepEqual([formFor('pytriton', 'minilm'), formFor('pytriton', 'minilm-text')], ['oip', undefined]);
  });

  for (const peer of peerNames)
    it(`pins the version of each package of ${peer}`, () => {
      for (const one of pinsOf(peer).packages) assert.match(one, /^[\w-]+(\[[\w,]+\])?==[\d.]+$/);
    });

  // prettier-ignore
  const failures: readonly { readonly name: string; readonly error: object; readonly why: string }[] = [
    { name: 'python is missing', error: { code: 'ENOENT' }, why: 'python3 is not installed' },
    { name: 'pip was too slow', error: { killed: true }, why: 'pip did not finish within 15 minutes' },
    { name: 'pip found no version', error: { code: 1, stderr: 'ERROR: No matching distribution\n\nnotice\n' },
      why: 'it cannot be installed: ERROR: No matching distribution' },
  ];
  for (const { name, error, why } of failures)
    it(`says why: ${name}`, () => assert.equal(whyMissing(error, 'python3'), why));
});

describe('control groups', () => {
  it('limits CPU and memory in version 2', () =>
    assert.deepEqual(writesFor('b', { cpus: 1.5, memoryBytes: 512 }, 2), [
      { folder: '/sys/fs/cgroup/b', file: 'cpu.max', text: '150000 100000' },
      { folder: '/sys/fs/cgroup/b', file: 'memory.max', text: '512' },
    ]));

  it('limits CPU and memory in version 1', () =>
    assert.deepEqual(
      writesFor('b', { cpus: 0.5, memoryBytes: 512 }, 1).map(({ folder, file, text }) => `${folder}/${file}=${text}`),
      [
        '/sys/fs/cgroup/cpu/b/cpu.cfs_period_us=100000',
        '/sys/fs/cgroup/cpu/b/cpu.cfs_quota_us=50000',
        '/sys/fs/cgroup/memory/b/memory.limit_in_bytes=512',
      ],
    ));

  it('a group without limits needs no writes', () => assert.deepEqual(writesFor('b', {}, 2), []));
});
