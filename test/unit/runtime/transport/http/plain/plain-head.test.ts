/** Which request heads are plain, so that the server answers the request without node:http. */
import assert from 'node:assert/strict';
import { plainHead } from '../../../../../../runtime/transport/http/plain/plain-head.ts';

const line = 'POST /v2/models/m/infer HTTP/1.1';
const usual = [line, 'Host: a:80', 'Content-Length: 12', 'X-Request-Id: a'];

/** The head of these lines, with the header `more` if given. */
function headOf(lines: readonly string[], more?: string): Buffer {
  return Buffer.from(`${[...lines, ...(more === undefined ? [] : [more])].join('\r\n')}\r\n\r\n`, 'latin1');
}

describe('plainHead', () => {
  it('reads path, headers and length', () => {
    const bytes = headOf(usual, 'Accept: */*, text/html');
    const head = plainHead(Buffer.concat([bytes, Buffer.from('{"a": 1}')]));
    assert.deepEqual(
      { ...head, headers: { ...head?.headers }, bytes: Buffer.from(head?.bytes ?? []).toString() },
      {
        path: '/v2/models/m/infer',
        contentBytes: 12,
        headers: { host: 'a:80', 'content-length': '12', 'x-request-id': 'a', accept: '*/*, text/html' },
        bytes: bytes.toString(),
      },
    );
  });

  for (const more of ['connection: keep-alive', 'Connection: Keep-Alive', 'x:1', 'x: a  b', 'content-type: a/b; c="d"'])
    it(`takes "${more}"`, () => assert.notEqual(plainHead(headOf(usual, more)), undefined));

  it('leaves a head with more than 100 headers to node:http', () => {
    const more = Array.from({ length: 98 }, (_, index) => `x-${index}: 1`);
    assert.notEqual(plainHead(headOf([...usual.slice(0, 3), ...more])), undefined);
    assert.equal(plainHead(headOf([...usual, ...more])), undefined);
  });

  const odd = [
    'connection: close',
    'connection: keep-alive, x',
    'transfer-encoding: chunked',
    'expect: 100-continue',
    'upgrade: h2c',
    'content-encoding: gzip',
    'content-length: 12',
    'x-request-id: b',
    'x : 1',
    ' x: 1',
    'x:',
    'x: ',
    'x:  1',
    'x: 1 ',
    'x:\t1',
    'x: \u00e9',
    'x: a\nb: c',
    'x: a\rb: c',
    'x: \0',
    'x',
    '(x): 1',
  ];
  for (const more of odd)
    it(`leaves ${JSON.stringify(more)} to node:http`, () => assert.equal(plainHead(headOf(usual, more)), undefined));

  const others: readonly [string, Buffer][] = [
    ['a GET', headOf(['GET /v2 HTTP/1.1', 'host: a', 'content-length: 0'])],
    ['HTTP/1.0', headOf(['POST /v2 HTTP/1.0', 'host: a', 'content-length: 0'])],
    ['a query', headOf(['POST /v2?a HTTP/1.1', 'host: a', 'content-length: 0'])],
    ['an escaped path', headOf(['POST /v2/%61 HTTP/1.1', 'host: a', 'content-length: 0'])],
    ['a whole URL', headOf(['POST http://a/v2 HTTP/1.1', 'host: a', 'content-length: 0'])],
    ['two spaces', headOf(['POST  /v2 HTTP/1.1', 'host: a', 'content-length: 0'])],
    ['an empty line first', headOf(['', ...usual])],
    ['no host', headOf([line, 'content-length: 0'])],
    ['no length', headOf([line, 'host: a'])],
    ['a length with a sign', headOf([line, 'host: a', 'content-length: +1'])],
    ['a length with a zero first', headOf([line, 'host: a', 'content-length: 01'])],
    ['two lengths in one header', headOf([line, 'host: a', 'content-length: 1, 1'])],
    ['a large body', headOf([line, 'host: a', 'content-length: 4194305'])],
    ['a head without its end', Buffer.from(`${line}\r\nhost: a\r\ncontent-length: 0\r\n`)],
    ['a head with bare line feeds', Buffer.from(`${line}\nhost: a\ncontent-length: 0\n\n`)],
    ['a large head', headOf([line, 'host: a', 'content-length: 0', `x: ${'a'.repeat(9000)}`])],
  ];
  for (const [name, bytes] of others)
    it(`leaves ${name} to node:http`, () => assert.equal(plainHead(bytes), undefined));
});
