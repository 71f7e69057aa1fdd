/**
 * Fuzz cases (random requests with the expected answers) of invalid or truncated HTTP: broken request lines and
 * headers, wrong lengths, early ends.
 * Owns: for which bytes the server must refuse or close the connection.
 * Pure.
 */
import { chunkedBody, get, postParts, split, statusIn, type Case } from './cases.ts';
import type { Chance } from './chance.ts';
import { body, freeToClose, inferPath, plainRequest, refused, server } from './http-parts.ts';

export function brokenLine(chance: Chance): Case {
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
  return freeToClose('line', [bytes], 200, ...refused);
}

export function brokenHeaders(chance: Chance): Case {
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
  return freeToClose(
    'headers-broken',
    [Buffer.from(`POST ${inferPath} HTTP/1.1\r\n${host}${header}\r\n\r\nhello`, 'latin1')],
    200,
    ...refused,
  );
}

/** A request whose Content-Length differs from the length of its body. */
export function lyingLength(chance: Chance): Case {
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
    return freeToClose(
      'length-long',
      [get(inferPath, [`Content-Length: ${body.length + chance.between(1, 5000)}`], 'POST'), body],
      400,
      408,
      413,
    );
  // The announced length is too short. The server parses the rest of the body as the first line of another request.
  const announced = body.length - chance.between(1, body.length - 1);
  return freeToClose('length-short', [get(inferPath, [`Content-Length: ${announced}`], 'POST'), body], 400, 413);
}

export function cutOff(chance: Chance): Case {
  const bytes = chance.percent(50)
    ? plainRequest()
    : Buffer.concat([get(inferPath, ['Transfer-Encoding: chunked'], 'POST'), chunkedBody(chance, body)]);
  return freeToClose('cut-off', split(chance, bytes.subarray(0, chance.between(1, bytes.length - 1))), 400, 408);
}

export function leaves(chance: Chance): Case {
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
