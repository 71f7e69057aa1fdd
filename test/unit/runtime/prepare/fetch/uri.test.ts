/** The grammar of model URIs: the meaning of each form, and the messages about invalid URIs. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AppError } from '../../../../../api/errors.ts';
import { parseSourceUri } from '../../../../../runtime/prepare/sources/index.ts';
import { isInnerPath, showUri } from '../../../../../runtime/prepare/fetch/uri.ts';

const rules = { allowFile: true, pinned: true };

describe('parseSourceUri', () => {
  it('accepts a file on a web server', () => {
    const uri = parseSourceUri('https://models.example.com/ranker/model.onnx?sig=1', rules);
    assert.ok(
      uri.scheme === 'https' && !uri.folder && uri.url.href === 'https://models.example.com/ranker/model.onnx?sig=1',
    );
  });

  // prettier-ignore
  const rows: { uri: string; want: object }[] = [
    { uri: 'npm:@scope/pkg@1.2.3/dist/model.onnx',
      want: { scheme: 'npm', name: '@scope/pkg', version: '1.2.3', path: 'dist/model.onnx', folder: false } },
    { uri: 'npm:pkg@1.2.3-rc.1+b5/', want: { scheme: 'npm', name: 'pkg',
        version: '1.2.3-rc.1+b5', path: '', folder: true } },
    { uri: 'npm:pkg@1.2.3/skills/.cache/x/', want: { scheme: 'npm', name: 'pkg',
        version: '1.2.3', path: 'skills/.cache/x', folder: true } },
    { uri: 'pvc://models/minilm/', want: { scheme: 'pvc', claim: 'models', path: 'minilm', folder: true } },
    { uri: 'pvc://models/', want: { scheme: 'pvc', claim: 'models', path: '', folder: true } },
    { uri: 'file:///a/b%20c/model.onnx', want: { scheme: 'file', path: '/a/b c/model.onnx', folder: false } },
    { uri: 'pvc://models//a///b.onnx', want: { scheme: 'pvc', claim: 'models', path: 'a/b.onnx', folder: false } },
  ];
  for (const { uri, want } of rows) it(`accepts ${uri}`, () => assert.deepEqual(parseSourceUri(uri, rules), want));

  const refused: { name: string; uri: string; rules?: typeof rules; want: RegExp }[] = [
    { name: 'a range of versions', uri: 'npm:pkg@^1.2.0/model.onnx', want: /must be exact/ },
    { name: 'a tag instead of a version', uri: 'npm:pkg@latest/model.onnx', want: /must be exact/ },
    { name: 'a missing version', uri: 'npm:pkg/model.onnx', want: /must be exact/ },
    { name: 'a package without a path', uri: 'npm:pkg@1.2.3', want: /does not name a file or folder/ },
    {
      name: 'plain http without a digest',
      uri: 'http://a.example/m.onnx',
      rules: { allowFile: true, pinned: false },
      want: /anyone on the network/,
    },
    {
      name: 'file: on a cluster',
      uri: 'file:///m.onnx',
      rules: { allowFile: false, pinned: true },
      want: /local mode only/,
    },
    { name: 'file: with a host', uri: 'file://host/m.onnx', want: /file:\/\/\/absolute/ },
    { name: 's3', uri: 's3://bucket/key', want: /S3 buckets .* not supported by this version yet/ },
    { name: 'oci', uri: 'oci://host/repo@sha256:00', want: /OCI registries .* not supported by this version yet/ },
    { name: 'hf', uri: 'hf://org/repo@rev/path', want: /the Hugging Face Hub .* not supported by this version yet/ },
    { name: 'ftp', uri: 'ftp://host/x', want: /does not know the scheme/ },
    { name: 'a bare path', uri: '/models/m.onnx', want: /has no scheme/ },
    { name: 'a path that leads out of the claim', uri: 'pvc://models/a/../../b', want: /must not contain '\.\.'/ },
    { name: 'an encoded path that leads out', uri: 'pvc://models/a/%2e%2e/b', want: /must not contain '\.\.'/ },
    { name: 'a backslash', uri: 'pvc://models/a%5c..%5cb', want: /must not contain/ },
    { name: 'a broken escape', uri: 'file:///a%zz', want: /two hex digits/ },
    { name: 'an encoded zero byte', uri: 'file:///a%00b', want: /control characters/ },
    { name: 'blanks', uri: 'https://a.example/my model.onnx', want: /blanks/ },
    {
      name: 'a password with a bare %',
      uri: 'https://user:50%zz@a.example/m',
      want: /write % in the user or password as %25/,
    },
    { name: 'a fragment', uri: 'https://a.example/m.onnx#x', want: /fragment/ },
    { name: 'a folder with a query', uri: 'https://a.example/m/?x=1', want: /cannot have a query/ },
    { name: 'an invalid claim name', uri: 'pvc:///x', want: /pvc:\/\/claim\/path/ },
  ];
  for (const { name, uri, rules: given = rules, want } of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => parseSourceUri(uri, given),
        (error: unknown) => error instanceof AppError && error.code === 'SOURCE_INVALID' && want.test(error.message),
      );
    });
  }

  it('does not show secrets of a URI that it refuses', () => {
    assert.throws(
      () => parseSourceUri('ftp://user:hunter2@host/x?token=hunter2', rules),
      (error: unknown) => error instanceof AppError && !error.message.includes('hunter2'),
    );
  });

  it('returns a URI or throws SOURCE_INVALID for any text', () => {
    const text = fc.oneof(
      fc.string(),
      fc
        .tuple(fc.constantFrom('https://', 'npm:', 'pvc://c/', 'file:///', 'npm:p@1.0.0/'), fc.string())
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (uri) => {
        try {
          const parsed = parseSourceUri(uri, rules);
          if (parsed.scheme !== 'https') assert.ok(!parsed.path.split('/').includes('..'));
        } catch (error) {
          assert.ok(error instanceof AppError && error.code === 'SOURCE_INVALID');
        }
      }),
      { numRuns: 2000, seed: 1 },
    );
  });
});

describe('showUri', () => {
  const rows = [
    { uri: 'https://user:pass@host/m.onnx?sig=abc#f', want: 'https://host/m.onnx' },
    { uri: 'https://user:p@ss@host/m', want: 'https://host/m' },
    { uri: 'npm:@scope/pkg@1.2.3/m', want: 'npm:@scope/pkg@1.2.3/m' },
    { uri: 'pvc://c/a@b', want: 'pvc://c/a@b' },
  ];
  for (const { uri, want } of rows) it(`shows ${uri} as ${want}`, () => assert.equal(showUri(uri), want));
});

describe('isInnerPath', () => {
  for (const path of ['model.onnx', 'a/b.c/d', '.hidden']) it(`accepts ${path}`, () => assert.ok(isInnerPath(path)));
  for (const path of ['', '/a', 'a/', 'a//b', '../a', 'a/./b', 'a\\b', 'a\0b'])
    it(`refuses ${JSON.stringify(path)}`, () => assert.ok(!isInnerPath(path)));
});
