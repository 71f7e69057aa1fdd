/** Downloads over real sockets from servers with faults: the result is the complete file or a clear error. */
import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { AppError } from '../../api/errors.ts';
import { folderDigest } from '../../runtime/prepare/cache/digest.ts';
import { openPart, type OpenPart } from '../../runtime/prepare/fetch/part-file.ts';
import { sha256 } from '../support/artifact.ts';
import { bytesOf, code, content, FetchWorld } from '../support/fetching.ts';
import { cutAfter, FileServer } from '../support/file-server.ts';

describe('fetching a model over http', () => {
  const world = FetchWorld.forEachTest();
  const digest = sha256(content);

  it('stores the bytes under their digest', async () => {
    const got = await world.fetchFrom({ digest });
    assert.deepEqual(await bytesOf(got), content);
    assert.deepEqual({ digest: got.digest, bytes: got.bytes }, { digest, bytes: content.length });
  });

  it('makes no request for a cached model', async () => {
    await world.fetchFrom({ digest });
    await world.fetchFrom({ digest });
    assert.equal(world.server.asked.length, 1);
  });

  it('resumes after a cut connection', async () => {
    world.server.on = (_request, response, nth) =>
      nth === 1 && cutAfter(response, content, 40_000, { etag: `"${content.length}"` });
    assert.deepEqual(await bytesOf(await world.fetchFrom({ digest })), content);
    assert.match(world.server.asked[1]?.range ?? '', /^bytes=[1-9]\d*-$/);
  });

  it('starts over when the file changed between two pieces', async () => {
    const newer = Buffer.from(content).reverse();
    world.server.on = (_request, response, nth) => {
      if (nth !== 1) return false;
      cutAfter(response, content, 40_000, { etag: '"old"' });
      world.server.files.set('/m.onnx', newer);
      return true;
    };
    assert.deepEqual(await bytesOf(await world.fetchFrom({ digest: sha256(newer) })), newer);
  });

  it('does not join a 206 response of another version', async () => {
    world.server.on = (request, response, nth) => {
      if (nth === 1) return cutAfter(response, content, 40_000, { etag: '"a"' });
      if (request.headers.range === undefined) return false;
      const from = Number(/\d+/.exec(request.headers.range)?.[0]);
      response
        .writeHead(206, {
          etag: '"b"',
          'content-range': `bytes ${from}-${content.length - 1}/${content.length}`,
          'content-length': content.length - from,
        })
        .end(content.subarray(from));
      return true;
    };
    assert.deepEqual(await bytesOf(await world.fetchFrom({ digest })), content);
    assert.equal(world.server.asked.at(-1)?.range, undefined);
  });

  it('starts over when the response has another range than requested', async () => {
    world.server.on = (request, response, nth) => {
      if (nth === 1) return cutAfter(response, content, 40_000, { etag: '"a"' });
      if (request.headers.range === undefined) return false;
      response
        .writeHead(206, { etag: '"a"', 'content-range': `bytes 5-${content.length - 1}/${content.length}` })
        .end(content.subarray(5));
      return true;
    };
    assert.deepEqual(await bytesOf(await world.fetchFrom({ digest })), content);
  });

  it('starts over once when a server resumes with wrong bytes and correct headers', async () => {
    world.server.on = (request, response, nth) => {
      if (nth === 1) return cutAfter(response, content, 40_000, { etag: '"a"' });
      const { range } = request.headers;
      if (range === undefined) return false;
      const from = Number(/\d+/.exec(range)?.[0]);
      response
        .writeHead(206, { etag: '"a"', 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` })
        .end(Buffer.alloc(content.length - from));
      return true;
    };
    assert.deepEqual(await bytesOf(await world.fetchFrom({ digest })), content);
    assert.ok(
      world.logger.lines.some((line) => line.message === 'resumed download had the wrong digest; starting over'),
    );
  });

  it('resumes without an ETag if the digest of the file is known', async () => {
    world.server.files.set('/l/m.onnx', content);
    world.server.etags.set('/l/m.onnx', null);
    world.server.on = (request, response) =>
      request.url === '/l/m.onnx' && world.server.asked.length === 1 ? cutAfter(response, content, 40_000) : false;
    const folderOf = folderDigest([{ path: 'm.onnx', digest }]);
    world.server.etags.set('/m.onnx', 'W/"1"');
    assert.deepEqual(
      await bytesOf(
        await world.fetchFrom({
          uri: `${world.server.origin}/l/`,
          digest: folderOf,
          files: [{ path: 'm.onnx', digest }],
        }),
      ),
      content,
    );
    assert.match(world.server.asked[1]?.range ?? '', /^bytes=/);
    assert.equal(world.server.asked[1]?.headers['if-range'], undefined);
  });

  it('reports the expected and the actual digest when they differ', async () => {
    const want = sha256('other');
    await assert.rejects(
      world.fetchFrom({ digest: want }),
      code('DIGEST_MISMATCH', new RegExp(`m\\.onnx is ${digest}, expected ${want}`)),
    );
    assert.deepEqual(await readdir(join(world.folder, 'cache', 'models')), []);
  });

  it("refuses bytes that differ from the bytes of the revision's first pod", async () => {
    await assert.rejects(
      world.fetchFrom({ digest }, { resolvedDigest: sha256('first') }),
      code('DIGEST_MISMATCH', /first pod got other bytes/),
    );
  });

  it('gives up on a server that cuts every response short', async () => {
    world.server.on = (_request, response) => cutAfter(response, content, 0);
    await assert.rejects(world.fetchFrom({ digest }, { limits: { tries: 3 } }), code('SOURCE_UNAVAILABLE'));
    assert.equal(world.server.asked.length, 3);
  });

  it('completes a file from a server that sends a little at a time', async () => {
    world.server.on = (request, response) => {
      const from = Number(/\d+/.exec(request.headers.range ?? '0')?.[0]);
      const part = content.subarray(from, from + 15_000);
      response.writeHead(from === 0 ? 200 : 206, {
        etag: '"a"',
        'content-length': content.length - from,
        ...(from === 0 ? {} : { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` }),
      });
      if (from + part.length === content.length) response.end(part);
      else response.write(part, () => setTimeout(() => response.destroy(), 5));
      return true;
    };
    assert.deepEqual(await bytesOf(await world.fetchFrom({ digest }, { limits: { tries: 3 } })), content);
  });

  it('retries after 503 and 429', async () => {
    world.server.on = (_request, response, nth) => nth <= 2 && (response.writeHead(nth === 1 ? 503 : 429).end(), true);
    assert.deepEqual(await bytesOf(await world.fetchFrom({ digest })), content);
  });

  for (const status of [404, 410, 401, 403]) {
    it(`does not retry after ${status}`, async () => {
      world.server.on = (_request, response) => (response.writeHead(status).end(), true);
      await assert.rejects(world.fetchFrom({ digest }), code('SOURCE_MISSING', new RegExp(`answered ${status}`)));
      assert.equal(world.server.asked.length, 1);
    });
  }

  it('refuses a file whose declared size exceeds the limit, before reading it', async () => {
    world.server.on = (_request, response) => (
      response.writeHead(200, { 'content-length': 10 ** 12 }),
      response.write('a'),
      true
    );
    await assert.rejects(world.fetchFrom({ digest }), code('SOURCE_TOO_LARGE', /larger than the limit/));
  });

  it('refuses a file that exceeds the limit while it is read', async () => {
    world.server.on = (_request, response) => (response.writeHead(200).end(content), true);
    await assert.rejects(world.fetchFrom({ digest }, { limits: { sourceBytes: 1000 } }), code('SOURCE_TOO_LARGE'));
  });

  it('follows a redirect', async () => {
    world.server.on = (request, response) =>
      request.url === '/old' && (response.writeHead(302, { location: '/m.onnx' }).end(), true);
    assert.deepEqual(
      await bytesOf(await world.fetchFrom({ uri: `${world.server.origin}/old`, digest }), 'old'),
      content,
    );
  });

  it('ends an endless redirect', async () => {
    world.server.on = (_request, response) => (response.writeHead(302, { location: '/m.onnx' }).end(), true);
    await assert.rejects(world.fetchFrom({ digest }), code('SOURCE_INVALID', /more than 5 times/));
  });

  for (const host of [
    '169.254.169.254',
    '2852039166',
    '0xa9.0376.43518',
    '[::ffff:a9fe:a9fe]',
    '[64:ff9b::a9fe:a9fe]',
    '[2002:a9fe:a9fe::1]',
    '168.63.129.16',
    '[fd20:ce::254]',
  ]) {
    it(`does not follow a redirect to the metadata address ${host}`, async () => {
      world.server.on = (_request, response) => (
        response.writeHead(302, { location: `http://${host}/latest/meta-data` }).end(),
        true
      );
      await assert.rejects(world.fetchFrom({ digest }), code('SOURCE_INVALID', /a link-local or metadata address/));
    });
  }

  it('does not follow a redirect to another scheme', async () => {
    world.server.on = (_request, response) => (response.writeHead(302, { location: 'file:///etc/passwd' }).end(), true);
    await assert.rejects(world.fetchFrom({ digest }), code('SOURCE_INVALID', /not followed/));
  });

  it("sends the URL's credentials to its own origin only, and does not show them", async () => {
    const other = await FileServer.start();
    other.files.set('/m.onnx', content);
    world.server.on = (_request, response) => (
      response.writeHead(302, { location: `${other.origin}/m.onnx` }).end(),
      true
    );
    const uri = `${world.server.origin.replace('//', '//user:hunter2@')}/m.onnx?token=hunter2`;
    const fetched = world.fetchFrom({ uri, digest });
    // Ignore the error here, so that the other server is closed even if the test fails.
    await fetched.catch(() => {});
    await other.stop();
    const got = await fetched;
    assert.equal(
      world.server.asked[0]?.headers.authorization,
      `Basic ${Buffer.from('user:hunter2').toString('base64')}`,
    );
    assert.equal(other.asked[0]?.headers.authorization, undefined);
    assert.ok(!JSON.stringify([got, world.logger.lines]).includes('hunter2'));
  });

  it('fetches the files of a folder that the spec names', async () => {
    world.server.files.set('/f/model.onnx', content);
    world.server.files.set('/f/sub/tokenizer.json', Buffer.from('{}'));
    const files = [
      { path: 'sub/tokenizer.json', digest: sha256('{}') },
      { path: 'model.onnx', digest },
    ];
    const got = await world.fetchFrom({ uri: `${world.server.origin}/f/`, digest: folderDigest(files), files });
    assert.deepEqual(await bytesOf(got, 'sub/tokenizer.json'), Buffer.from('{}'));
  });

  it('names the file of a folder that has another digest', async () => {
    world.server.files.set('/f/model.onnx', content);
    const files = [{ path: 'model.onnx', digest: sha256('other') }];
    await assert.rejects(
      world.fetchFrom({ uri: `${world.server.origin}/f/`, digest: folderDigest(files), files }),
      code('DIGEST_MISMATCH', /\/f\/model\.onnx/),
    );
  });

  it('refuses a folder with another digest than in the spec, although each file matches', async () => {
    world.server.files.set('/f/model.onnx', content);
    await assert.rejects(
      world.fetchFrom({
        uri: `${world.server.origin}/f/`,
        digest: sha256('other'),
        files: [{ path: 'model.onnx', digest }],
      }),
      code('DIGEST_MISMATCH', /\/f\/ is/),
    );
  });

  it('refuses a folder if the spec does not name its files', async () => {
    await assert.rejects(
      world.fetchFrom({ uri: `${world.server.origin}/f/`, digest }),
      code('SOURCE_INVALID', /name its files/),
    );
  });

  it('refuses a path that leads out of the folder', async () => {
    await assert.rejects(
      world.fetchFrom({ uri: `${world.server.origin}/f/`, digest, files: [{ path: '../x', digest }] }),
      code('SOURCE_INVALID', /leads out/),
    );
  });

  it('reports that nothing listens', async () => {
    const gone = createServer();
    await new Promise<void>((resolve) => {
      gone.listen(0, '127.0.0.1', resolve);
    });
    const { port } = gone.address() as { port: number };
    await new Promise((resolve) => {
      gone.close(resolve);
    });
    await assert.rejects(
      world.fetchFrom({ uri: `http://127.0.0.1:${port}/m.onnx`, digest }, { limits: { tries: 2 } }),
      code('SOURCE_UNAVAILABLE', /ECONNREFUSED/),
    );
  });

  it('gives up on a server that does not answer', async () => {
    world.server.on = () => true;
    const http = { timeouts: { connectMs: 1000, headersMs: 50, idleMs: 50 } };
    await assert.rejects(
      world.fetchFrom({ digest }, { http, limits: { tries: 2 } }),
      code('SOURCE_UNAVAILABLE', /did not answer in time/),
    );
  });

  it('stops when it is aborted, and resumes later', async () => {
    const stop = new AbortController();
    world.server.on = (_request, response, nth) => {
      if (nth !== 1) return false;
      response.writeHead(200, { etag: `"${content.length}"`, 'content-length': content.length });
      response.write(content.subarray(0, 50_000), () => setTimeout(() => stop.abort(new Error('stopped')), 30));
      return true;
    };
    await assert.rejects(world.fetchFrom({ digest }, { signal: stop.signal }), /stopped|abort/i);
    assert.deepEqual(await bytesOf(await world.fetchFrom({ digest })), content);
    assert.match(world.server.asked[1]?.range ?? '', /^bytes=[1-9]/);
  });

  it('reports a full disk, and resumes when there is space', async () => {
    let room = 30_000;
    const full: OpenPart = async (path, keep) => {
      const part = await openPart(path, keep);
      return {
        ...part,
        async write(bytes) {
          room -= bytes.length;
          if (room < 0) throw new AppError('DISK_FULL', { path });
          await part.write(bytes);
        },
      };
    };
    await assert.rejects(world.fetchFrom({ digest }, { openPart: full }), code('DISK_FULL'));
    assert.deepEqual(await bytesOf(await world.fetchFrom({ digest })), content);
  });

  it('fetches a damaged cache entry again', async () => {
    const got = await world.fetchFrom({ digest });
    await writeFile(join(got.root, 'm.onnx'), 'damaged');
    assert.deepEqual(await bytesOf(await world.fetchFrom({ digest })), content);
  });
});
