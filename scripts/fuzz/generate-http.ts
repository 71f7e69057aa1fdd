/**
 * Cases of HTTP itself: routes, broken request lines and headers, chunks, lengths that lie, pipelines, ends in the
 * middle.
 *
 * Owns:  which bytes are a request with a due answer, and which may only be refused or cut off. Pure.
 */
import {
  chunkedBody,
  get,
  openAiError,
  parseOrUndefined,
  postParts,
  split,
  statusIn,
  type Case,
  type Check,
  type Due,
  type Part,
} from './cases.ts';
import type { Chance } from './chance.ts';
import { encoderName } from './models.ts';

type Kind = (chance: Chance) => Case;

export function httpCase(chance: Chance): Case {
  return chance.weighted<Kind>([
    [20, route],
    [12, wrongRoute],
    [15, pipeline],
    [10, oddHeaders],
    [8, encodings],
    [8, chunks],
    [5, expects],
    [4, timeouts],
    [8, brokenLine],
    [6, brokenHeaders],
    [6, lyingLength],
    [4, cutOff],
    [3, leaves],
  ])(chance);
}

/** Raw HTTP goes to the model that answers [1,2,3,4] with itself. */
const server = 'floats';
const inferPath = `/v2/models/${server}/infer`;
const body = Buffer.from('{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}');

const answered: Check = (answer) => {
  if (answer.status !== 200) return `status ${answer.status}, expected 200: ${answer.body.subarray(0, 200).toString()}`;
  const { outputs } = (parseOrUndefined(answer.body) ?? {}) as {
    readonly outputs?: readonly { readonly data?: unknown }[];
  };
  return JSON.stringify(outputs?.[0]?.data) === '[1,2,3,4]'
    ? undefined
    : `the answer is ${answer.body.subarray(0, 200).toString()}`;
};

function keep(kind: string, parts: readonly Part[], ...due: readonly Due[]): Case {
  return { kind: `http/${kind}`, server, parts, due, connection: 'keep' };
}

/** The client says that it is done, so that the server has no reason to wait. */
function free(kind: string, parts: readonly Part[], ...statuses: readonly number[]): Case {
  return {
    kind: `http/${kind}`,
    server,
    parts: [...parts, 'end'],
    due: [{ check: statusIn(...statuses) }],
    connection: 'free',
  };
}

const refused = [400, 404, 405, 408, 411, 413, 414, 417, 426, 431, 501, 505];

// ── right requests ──

const routes: readonly (readonly [string, Check])[] = [
  ['/v2/health/live', statusIn(200)],
  ['/v2/health/ready', statusIn(200)],
  ['/v2', statusIn(200)],
  ['/startup', statusIn(200)],
  [`/v2/models/${server}`, statusIn(200)],
  [`/v2/models/${server}/ready`, statusIn(200)],
  [`/v2/models/${server}/config`, statusIn(200)],
  [`/v2/models/${server}/stats`, statusIn(200)],
  ['/v1/models', statusIn(200)],
  ['/v1/models/', statusIn(200)],
  ['/v2/health/ready/', statusIn(200)],
  [`/v2/models/${server}/`, statusIn(200)],
  [`/v2/health/live?${'a=b&'.repeat(20)}`, statusIn(200)],
  [`/v2/models/%66loats`, statusIn(200)],
];

function route(chance: Chance): Case {
  const [path, check] = chance.pick(routes);
  const head = chance.percent(20);
  return keep('route', split(chance, get(path, [], head ? 'HEAD' : 'GET')), { check, head });
}

function wrongRoute(chance: Chance): Case {
  const path = chance.pick([
    '/',
    '/v1',
    '/v3',
    '/v2/models/other',
    `/v2/models/${encoderName}/infer`,
    `/v2/models/${server}/versions/9`,
    '/v2/models/%',
    '/v2/models/%00',
    '/v2/models/__proto__/infer',
    '/v2/models/constructor',
    '//v2',
    '/../../etc/passwd',
    `/${'a'.repeat(chance.between(1, 3000))}`,
    '/v2/models/a/b/c/d',
    '/%ff',
    '/v2/health/live/x',
    '/v1/embeddings',
    '/v1/embeddings/x',
    '/v1/chat/completions',
    '/v1/models/other',
  ]);
  const method = chance.pick(['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND']);
  const withBody = chance.percent(40);
  const bytes = withBody
    ? Buffer.concat([get(path, [`Content-Length: ${body.length}`], method), body])
    : get(path, ['Content-Length: 0'], method);
  const check: Check = (answer) =>
    statusIn(404, 405)(answer) ?? (path.startsWith('/v1/') ? openAiError(answer) : undefined);
  return keep('wrong-route', split(chance, bytes), { check });
}

function pipeline(chance: Chance): Case {
  const requests = chance.many(chance.between(2, 8), (): { readonly part: Buffer; readonly due: Due } => {
    if (chance.percent(40)) return { part: get('/v2/health/live'), due: { check: statusIn(200) } };
    if (chance.percent(10)) return { part: get('/nothing'), due: { check: statusIn(404, 405) } };
    return { part: plain(), due: { check: answered } };
  });
  const bytes = Buffer.concat(requests.map(({ part }) => part));
  if (!chance.percent(15)) return keep('pipeline', split(chance, bytes), ...requests.map(({ due }) => due));
  // The answers before the fault are due; the fault gets one of its own or ends the connection.
  const fault = Buffer.from(chance.pick(['\u0000\u0001\r\n\r\n', 'GET\r\n\r\n', 'XX / HTTP/9.9\r\n\r\n']), 'latin1');
  return {
    kind: 'http/pipeline-fault',
    server,
    parts: [bytes, fault, 'end'],
    due: [...requests.map(({ due }) => due), { check: statusIn(...refused) }],
    connection: 'free',
  };
}

function plain(headers: readonly string[] = []): Buffer {
  return Buffer.concat([get(inferPath, [...headers, `Content-Length: ${body.length}`], 'POST'), body]);
}

function oddHeaders(chance: Chance): Case {
  const odd = chance.pick<readonly string[]>([
    ['__proto__: x'],
    ['constructor: x', 'toString: y'],
    ['X-Request-Id: '],
    [`X-Request-Id: ${'a'.repeat(500)}`],
    ['X-Request-Id: a\tb'],
    ['X-Request-Id: \u00e9\u00ff'],
    ['Accept: */*', 'Accept: text/html'],
    ['Content-Type: text/plain'],
    ['Content-Type: multipart/form-data; boundary=--x'],
    ['Content-Type: '],
    ['Accept-Encoding: gzip, br'],
    ['Connection: keep-alive'],
    ['Connection: Upgrade', 'Upgrade: websocket'],
    ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c'],
    ['Cookie: a=b', 'Cookie: c=d'],
    ['If-Match: *', 'If-None-Match: *'],
    ['Range: bytes=0-1'],
    ['Origin: http://other'],
    [`X-Long: ${'v'.repeat(chance.between(1, 8000))}`],
    chance.many(chance.between(1, 200), (index) => `X-H${index}: ${index}`),
    ['X-Forwarded-For: 1.2.3.4'],
    ['traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
    ['TE: trailers'],
    ['Keep-Alive: timeout=1'],
    ['Priority: u=0'],
  ]);
  return keep('headers', split(chance, plain(odd)), { check: answered });
}

function encodings(chance: Chance): Case {
  const good = chance.pick(['identity', 'IDENTITY', ' identity ']);
  if (chance.percent(20)) return keep('encoding', [plain([`Content-Encoding: ${good}`])], { check: answered });
  const bad = chance.pick([
    '__proto__',
    'constructor',
    'toString',
    'valueOf',
    'hasOwnProperty',
    'isPrototypeOf',
    '__defineGetter__',
    '__lookupGetter__',
    'toLocaleString',
    'propertyIsEnumerable',
    'gzip',
    'deflate',
    'br',
    'zstd',
    'gzip, gzip',
    'gzip;q=1',
    'identity, gzip',
    'x'.repeat(300),
    ',',
    '\u00e9',
  ]);
  return keep('encoding', [plain([`Content-Encoding: ${bad}`])], { check: statusIn(400, 413, 415) });
}

function chunks(chance: Chance): Case {
  const head = get(inferPath, ['Transfer-Encoding: chunked'], 'POST');
  if (chance.percent(60))
    return keep('chunks', split(chance, Buffer.concat([head, chunkedBody(chance, body)])), { check: answered });
  const wrong = chance.pick([
    'zz\r\nab\r\n0\r\n\r\n',
    '-1\r\na\r\n0\r\n\r\n',
    'ffffffffffffffffff\r\na\r\n',
    '5\r\nab\r\n0\r\n\r\n',
    '2\r\nabcd\r\n0\r\n\r\n',
    '2;\u0000\r\nab\r\n0\r\n\r\n',
    `2;${'e'.repeat(20_000)}\r\nab\r\n0\r\n\r\n`,
    '0x2\r\nab\r\n0\r\n\r\n',
    ' 2\r\nab\r\n0\r\n\r\n',
    '2\nab\n0\n\n',
    `0\r\n${'t: v\r\n'.repeat(2000)}\r\n`,
  ]);
  return free('chunks-broken', [Buffer.concat([head, Buffer.from(wrong, 'latin1')])], ...refused);
}

function expects(chance: Chance): Case {
  if (chance.percent(70))
    return keep(
      'expect',
      [
        get(inferPath, ['Expect: 100-continue', `Content-Length: ${body.length}`], 'POST'),
        { pauseMs: chance.below(3) },
        body,
      ],
      { check: answered },
    );
  const expect = chance.pick(['200-ok', '100-continue, x', '__proto__', '']);
  return {
    kind: 'http/expect-other',
    server,
    parts: [plain([`Expect: ${expect}`]), 'end'],
    due: [{ check: statusIn(200, 400, 417) }],
    connection: 'free',
  };
}

function timeouts(chance: Chance): Case {
  if (chance.percent(50))
    return keep(
      'timeout',
      [plain([`X-Request-Timeout-Ms: ${chance.pick(['60000', '1e5', '99999.5', '9007199254740993'])}`])],
      { check: answered },
    );
  if (chance.percent(50))
    return keep(
      'timeout',
      [plain([`X-Request-Timeout-Ms: ${chance.pick(['0.001', '1', '0.5', '1e-300', '5e-324'])}`])],
      { check: statusIn(200, 504) },
    );
  return keep(
    'timeout',
    [
      plain([
        'X-Request-Timeout-Ms: ' +
          `${chance.pick(['0', '-1', 'NaN', 'abc', 'Infinity', '1e999', '1, 2', '0x', '__proto__'])}`,
      ]),
    ],
    { check: statusIn(400) },
  );
}

// ── what is not HTTP, or not all of it ──

function brokenLine(chance: Chance): Case {
  const line = chance.pick([
    'GET',
    'GET /',
    'GET / HTTP/1.1 x',
    'GET  / HTTP/1.1',
    'get / HTTP/1.1',
    'GET / HTTP/0.9',
    'GET / HTTP/2.0',
    'GET / HTTP/1.10',
    'GET / http/1.1',
    'PRI * HTTP/2.0',
    '\u0016\u0003\u0001\u0002',
    '\u0000',
    ' GET / HTTP/1.1',
    'FOO / HTTP/1.1',
    'GET /\u0000 HTTP/1.1',
    'GET /\u00ff HTTP/1.1',
    'GET \t/ HTTP/1.1',
    'GET http://other/v2 HTTP/1.1',
    'OPTIONS * HTTP/1.1',
    'CONNECT other:443 HTTP/1.1',
    'GET http:// HTTP/1.1',
    'GET /?\u0001 HTTP/1.1',
    `GET /${'a'.repeat(20_000)} HTTP/1.1`,
    'GET / HTTP/1.1\r',
    'GET / RTSP/1.0',
    'M-SEARCH * HTTP/1.1',
    'GET #x HTTP/1.1',
    'GET x HTTP/1.1',
  ]);
  const bytes = chance.percent(70)
    ? Buffer.from(`${line}\r\nHost: fuzz\r\n\r\n`, 'latin1')
    : Buffer.concat([chance.bytes(chance.between(1, 64)), Buffer.from('\r\n\r\n')]);
  return free('line', [bytes], 200, ...refused);
}

function brokenHeaders(chance: Chance): Case {
  const header = chance.pick([
    'No colon',
    ': no name',
    'Bad name : x',
    'X: a\u0000b',
    'X: \u0001',
    'X\u00e9: y',
    'Host: other',
    'X: a\r\n folded',
    ' Leading: x',
    `X: ${'v'.repeat(20_000)}`,
    'X: y\nZ: w',
    'X: y\rZ: w',
    'Content-Length: -1',
    'Content-Length: +5',
    'Content-Length: 0x10',
    'Content-Length: 5, 5',
    'Content-Length: 99999999999999999999999',
    'Content-Length: abc',
    'Content-Length: ',
    'Content-Length: 5\r\nContent-Length: 6',
    'Content-Length: 5\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: gzip',
    'Transfer-Encoding: chunked, chunked',
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding: identity',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding : chunked',
    'Transfer-Encoding: \u000bchunked',
    'Upgrade: x\r\nConnection: upgrade\r\nContent-Length: 5',
  ]);
  const host = chance.percent(90) ? 'Host: fuzz\r\n' : '';
  return free(
    'headers-broken',
    [Buffer.from(`POST ${inferPath} HTTP/1.1\r\n${host}${header}\r\n\r\nhello`, 'latin1')],
    200,
    ...refused,
  );
}

/** Content-Length and body differ. */
function lyingLength(chance: Chance): Case {
  if (chance.percent(40)) {
    const announced = chance.pick([2 ** 31, 2 ** 40, 2 ** 53 - 1, 70 * 2 ** 20, 64 * 2 ** 20 + 1]);
    return {
      kind: 'http/length-huge',
      server,
      parts: [get(inferPath, [`Content-Length: ${announced}`], 'POST'), body],
      due: [{ check: statusIn(413) }],
      connection: 'close',
    };
  }
  if (chance.percent(50))
    return free(
      'length-long',
      [get(inferPath, [`Content-Length: ${body.length + chance.between(1, 5000)}`], 'POST'), body],
      400,
      408,
      413,
    );
  // The rest is the next request's line.
  const announced = body.length - chance.between(1, body.length - 1);
  return free('length-short', [get(inferPath, [`Content-Length: ${announced}`], 'POST'), body], 400, 413);
}

function cutOff(chance: Chance): Case {
  const bytes = chance.percent(50)
    ? plain()
    : Buffer.concat([get(inferPath, ['Transfer-Encoding: chunked'], 'POST'), chunkedBody(chance, body)]);
  return free('cut-off', split(chance, bytes.subarray(0, chance.between(1, bytes.length - 1))), 400, 408);
}

function leaves(chance: Chance): Case {
  const parts = postParts(chance, { path: inferPath, body });
  const cut = parts.map((part) =>
    Buffer.isBuffer(part) && chance.percent(60) ? part.subarray(0, chance.between(0, part.length)) : part,
  );
  return {
    kind: 'http/leaves',
    server,
    parts: [...cut, { pauseMs: chance.below(3) }, 'destroy'],
    due: [],
    connection: 'gone',
  };
}
