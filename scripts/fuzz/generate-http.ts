/**
 * Fuzz cases (random requests with the expected answers) of HTTP itself: routes, headers, encodings, chunks, pipelines,
 * deadlines.
 * Owns: the frequency of each kind of case, and which bytes are a request with an expected answer.
 * generate-broken-http.ts makes the invalid requests.
 * Pure.
 */
import { late } from './answers.ts';
import { chunkedBody, get, openAiError, split, statusIn, type Case, type Check, type Due } from './cases.ts';
import type { Chance } from './chance.ts';
import { brokenHeaders, brokenLine, cutOff, leaves, lyingLength } from './generate-broken-http.ts';
import {
  answered,
  body,
  freeToClose,
  inferPath,
  keepOpen,
  plainRequest,
  refused,
  server,
  type MakeCase,
} from './http-parts.ts';
import { encoderName } from './models.ts';

export function httpCase(chance: Chance): Case {
  return chance.weighted<MakeCase>([
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
  return keepOpen('route', split(chance, get(path, [], head ? 'HEAD' : 'GET')), { check, head });
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
  return keepOpen('wrong-route', split(chance, bytes), { check });
}

function pipeline(chance: Chance): Case {
  const requests = chance.many(chance.between(2, 8), (): { readonly part: Buffer; readonly due: Due } => {
    if (chance.percent(40)) return { part: get('/v2/health/live'), due: { check: statusIn(200) } };
    if (chance.percent(10)) return { part: get('/nothing'), due: { check: statusIn(404, 405) } };
    return { part: plainRequest(), due: { check: answered } };
  });
  const bytes = Buffer.concat(requests.map(({ part }) => part));
  if (!chance.percent(15)) return keepOpen('pipeline', split(chance, bytes), ...requests.map(({ due }) => due));
  // The requests before the fault must be answered. The fault is answered with an error, or the server closes the
  // connection.
  const fault = Buffer.from(chance.pick(['\u0000\u0001\r\n\r\n', 'GET\r\n\r\n', 'XX / HTTP/9.9\r\n\r\n']), 'latin1');
  return {
    kind: 'http/pipeline-fault',
    server,
    parts: [bytes, fault, 'end'],
    due: [...requests.map(({ due }) => due), { check: statusIn(...refused) }],
    connection: 'free',
  };
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
  return keepOpen('headers', split(chance, plainRequest(odd)), { check: answered });
}

function encodings(chance: Chance): Case {
  const good = chance.pick(['identity', 'IDENTITY', ' identity ']);
  if (chance.percent(20))
    return keepOpen('encoding', [plainRequest([`Content-Encoding: ${good}`])], { check: answered });
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
  return keepOpen('encoding', [plainRequest([`Content-Encoding: ${bad}`])], { check: statusIn(400, 413, 415) });
}

function chunks(chance: Chance): Case {
  const head = get(inferPath, ['Transfer-Encoding: chunked'], 'POST');
  if (chance.percent(60))
    return keepOpen('chunks', split(chance, Buffer.concat([head, chunkedBody(chance, body)])), { check: answered });
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
  return freeToClose('chunks-broken', [Buffer.concat([head, Buffer.from(wrong, 'latin1')])], ...refused);
}

function expects(chance: Chance): Case {
  if (chance.percent(70))
    return keepOpen(
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
    parts: [plainRequest([`Expect: ${expect}`]), 'end'],
    due: [{ check: statusIn(200, 400, 417) }],
    connection: 'free',
  };
}

function timeouts(chance: Chance): Case {
  if (chance.percent(50))
    return keepOpen(
      'timeout',
      [plainRequest([`X-Request-Timeout-Ms: ${chance.pick(['60000', '1e5', '99999.5', '9007199254740993'])}`])],
      { check: answered },
    );
  if (chance.percent(50))
    return keepOpen(
      'timeout',
      [plainRequest([`X-Request-Timeout-Ms: ${chance.pick(['0.001', '1', '0.5', '1e-300', '5e-324'])}`])],
      { check: statusIn(200, ...late) },
    );
  return keepOpen(
    'timeout',
    [
      plainRequest([
        'X-Request-Timeout-Ms: ' +
          `${chance.pick(['0', '-1', 'NaN', 'abc', 'Infinity', '1e999', '1, 2', '0x', '__proto__'])}`,
      ]),
    ],
    { check: statusIn(400) },
  );
}
