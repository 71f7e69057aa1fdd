/** Every source scheme: its row in api/sources.ts and its file in runtime/prepare/sources/ agree. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { AppError } from '../../../../api/errors.ts';
import {
  fileUriPattern,
  sourceNameOf,
  sourceRowOf,
  sourceRows,
  uriPattern,
  volumeClaimOf,
  type SourceName,
} from '../../../../api/sources.ts';
import { readCommand } from '../../../../runtime/config/command-line.ts';
import { parseSourceUri, schemeFor } from '../../../../runtime/prepare/sources/index.ts';

const root = join(import.meta.dirname, '../../../..');
const folder = join(root, 'runtime/prepare/sources');
const names = Object.keys(sourceRows) as SourceName[];
const rules = { allowFile: true, pinned: true };
const admitted = new RegExp(uriPattern, 'u');
const admittedFile = new RegExp(fileUriPattern, 'u');
const runs = { numRuns: 500, seed: 1 };

/** Messages about URIs that are invalid although they match the pattern: a pattern cannot express these rules well. */
const beyondPattern: readonly RegExp[] = [
  /control characters/,
  /must not contain '(\.\.?|.*\\.*)'/,
  /two hex digits/,
  /is not a URL/,
  /fragment/,
  /cannot have a query/,
  /the version must be exact/,
  // A package name that does not begin with a letter or digit.
  /write it as npm:package/,
];

/** @returns the parsed URI, or the error message */
function parsed(uri: string): ReturnType<typeof parseSourceUri> | string {
  try {
    return parseSourceUri(uri, rules);
  } catch (error) {
    assert.ok(error instanceof AppError && error.code === 'SOURCE_INVALID', String(error));
    return error.message;
  }
}

/**
 * URIs that match the scheme's pattern. `plain`: host and path have only letters and digits; `any`: all characters that
 * the pattern allows.
 */
function urisOf(name: SourceName, path: 'plain' | 'any'): fc.Arbitrary<string> {
  const { pattern } = sourceRowOf(name);
  const whole = path === 'any' ? pattern : pattern.replace('[^/?#@]', '[a-z]').replace(/\.([*+])$/, '[A-Za-z0-9_/-]$1');
  return fc.stringMatching(new RegExp(`^(?:${whole})$`));
}

/** A URI with one character after the scheme removed, inserted or replaced. */
function damaged(name: SourceName): fc.Arbitrary<string> {
  return fc
    .tuple(urisOf(name, 'plain'), fc.nat(), fc.constantFrom('', '/', '@', ':', 'A', '_', '-', '?'), fc.nat(1))
    .map(([uri, place, put, cut]) => {
      const start = uri.indexOf(':') + 1;
      const at = start + (place % (uri.length - start));
      return uri.slice(0, at) + put + uri.slice(at + cut);
    });
}

describe('source schemes', () => {
  for (const name of names) {
    const row = sourceRowOf(name);

    describe(name, () => {
      it('has a file with its name that parses and opens', () => {
        assert.ok(existsSync(join(folder, `${name}.ts`)));
        const scheme = schemeFor(parseSourceUri(row.forms[0]?.example ?? '', rules));
        assert.equal(typeof scheme.parse, 'function');
        assert.equal(typeof scheme.open, 'function');
      });

      for (const { example, start, needsDigest } of row.forms) {
        it(`accepts its example ${example}, in the schema and at run time`, () => {
          assert.ok(example.startsWith(start) && admitted.test(example) && admittedFile.test(example));
          assert.equal(sourceNameOf(example), name);
          assert.equal(parseSourceUri(example, rules).scheme, name);
          assert.equal(parseSourceUri(example, rules).folder, false);
          assert.equal(parseSourceUri(`${example}/`, rules).folder, true);
        });

        if (needsDigest) {
          it(`refuses ${start} without a digest`, () => {
            assert.throws(() => parseSourceUri(example, { allowFile: true, pinned: false }), /pin it with/);
          });
        }
      }

      it('is shown by the help of serve and by the table of the spec', () => {
        const help = readCommand(['serve', '--help'], {});
        const shown = row.forms.filter(
          ({ example, needsDigest }) => !needsDigest && volumeClaimOf(example) === undefined,
        );
        assert.ok(help.kind === 'help' && shown.every(({ example }) => help.text.includes(example)));
        const readme = readFileSync(join(root, 'README.md'), 'utf8');
        assert.match(readme, new RegExp(`^\\| \`model\` \\|.*\`${name}\``, 'm'));
      });

      it('is refused on a cluster exactly if it is for local mode only', () => {
        const parse = (): unknown => parseSourceUri(row.forms[0]?.example ?? '', { allowFile: false, pinned: true });
        if (row.localOnly === true) assert.throws(parse, /local mode only/);
        else parse();
      });

      it('parses what its pattern accepts, or reports a problem that a pattern cannot express', () => {
        fc.assert(
          fc.property(urisOf(name, 'any'), (uri) => {
            const got = parsed(uri);
            if (typeof got === 'string')
              return assert.ok(
                beyondPattern.some((reason) => reason.test(got)),
                got,
              );
            assert.equal(got.scheme, name);
          }),
          runs,
        );
      });

      it('parses every plain path that its pattern accepts', () => {
        fc.assert(
          fc.property(urisOf(name, 'plain'), (uri) => {
            const got = parsed(uri);
            if (typeof got !== 'string') return assert.equal(got.folder, uri.endsWith('/'), uri);
            assert.match(got, /the version must be exact|write it as npm:package/);
          }),
          runs,
        );
      });

      it('refuses what its pattern refuses, except what only serve accepts', () => {
        const serve = new RegExp(`^(?:${row.servePattern ?? row.pattern})$`, 'u');
        let refused = 0;
        fc.assert(
          fc.property(damaged(name), (uri) => {
            if (admitted.test(uri) || serve.test(uri)) return;
            refused += 1;
            assert.equal(typeof parsed(uri), 'string', uri);
          }),
          runs,
        );
        assert.ok(refused > 10, `only ${refused} damaged URIs`);
      });

      it('is a golden set only as a file', () => {
        fc.assert(
          fc.property(urisOf(name, 'plain'), (uri) => {
            if (admittedFile.test(uri)) assert.ok(admitted.test(uri) && !uri.endsWith('/'));
          }),
          runs,
        );
      });
    });
  }

  // prettier-ignore
  type Written = { readonly name: string; readonly uri: string; readonly spec: boolean; readonly serve: boolean };
  const written: readonly Written[] = [
    { name: 'a password', uri: 'https://user:word@host/m.onnx', spec: false, serve: true },
    { name: 'a whole package', uri: 'npm:pkg@1.2.3/', spec: false, serve: true },
    { name: 'a server without a path', uri: 'https://host', spec: false, serve: false },
    { name: 'one slash', uri: 'https:/host/m.onnx', spec: false, serve: false },
    { name: 'a scheme in capitals', uri: 'PVC://models/m.onnx', spec: false, serve: false },
    { name: 'a volume claim in capitals', uri: 'pvc://Models/m.onnx', spec: false, serve: false },
    { name: 'a package in capitals', uri: 'npm:Pkg@1.2.3/m.onnx', spec: false, serve: false },
    { name: 'the root of the disk', uri: 'file:///', spec: false, serve: false },
  ];
  for (const { name, uri, spec, serve } of written) {
    it(`${serve ? 'accepts' : 'refuses'} ${name} for serve and ${spec ? 'accepts' : 'refuses'} it in a spec`, () => {
      assert.equal(admitted.test(uri), spec);
      assert.equal(typeof parsed(uri) !== 'string', serve);
    });
  }

  it('only pvc:// names a volume claim', () => {
    const claims = names.flatMap((name) => sourceRowOf(name).forms.map(({ example }) => volumeClaimOf(example)));
    assert.deepEqual(
      claims.filter((claim) => claim !== undefined),
      ['claim'],
    );
  });
});
