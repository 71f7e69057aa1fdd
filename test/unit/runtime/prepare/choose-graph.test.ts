/** Which file of a source is served for a precision, and the message if no file fits. */
import assert from 'node:assert/strict';
import { AppError, type ErrorCode } from '../../../../api/errors.ts';
import type { Precision } from '../../../../api/choices.ts';
import { checkFits, chooseGraph } from '../../../../runtime/prepare/choose-graph.ts';

const files = (...paths: string[]) => paths.map((path) => ({ path, bytes: 1, digest: 'sha256:00' }));
const folder = {
  uri: 'pvc://models/m/',
  folder: true,
  files: files('model.onnx', 'model.int8.onnx', 'tokenizer.json'),
};
const variants = [
  { precision: 'INT8', path: 'model.int8.onnx' },
  { precision: 'FP16', path: 'gone.onnx' },
] as const;

describe('chooseGraph', () => {
  type Row = { name: string; acquired?: typeof folder; precision?: Precision; graphPath?: string; want: string };
  // prettier-ignore
  const rows: Row[] = [
    { name: 'model.onnx of a folder', want: 'model.onnx' },
    { name: 'the graph that the spec names', graphPath: 'model.int8.onnx', want: 'model.int8.onnx' },
    { name: 'the variant of a precision', precision: 'INT8', want: 'model.int8.onnx' },
    { name: 'the only graph of a folder, whatever its name',
      acquired: { uri: 'pvc://m/', folder: true,
        files: files('onnx/encoder.onnx', 'tokenizer.json') }, want: 'onnx/encoder.onnx' },
    { name: 'the file of a single-file source',
      acquired: { uri: 'pvc://models/x.onnx', folder: false, files: files('x.onnx') }, want: 'x.onnx' },
  ];
  for (const { name, acquired = folder, precision = 'Source', graphPath, want } of rows) {
    it(`takes ${name}`, () =>
      assert.equal(
        chooseGraph(acquired, precision, { variants, ...(graphPath === undefined ? {} : { graphPath }) }),
        want,
      ));
  }

  // prettier-ignore
  const refused: (Omit<Row, 'want'> & { code: ErrorCode; want: RegExp })[] = [
    { name: 'a precision without a variant', precision: 'INT4', code: 'PRECISION_MISSING',
      want: /no file of precision INT4: add it to spec\.model\.variants/ },
    { name: 'a variant that the source lacks', precision: 'FP16', code: 'SOURCE_MISSING',
      want: /gone\.onnx does not exist: the source has model\.onnx, model\.int8\.onnx: name one/ },
    { name: 'a folder without a graph', acquired: { uri: 'pvc://m/', folder: true, files: files('a.txt') },
      code: 'SOURCE_MISSING', want: /the source has no \.onnx file \(found: a\.txt\)$/ },
    { name: 'a folder with several graphs of other names',
      acquired: { uri: 'pvc://m/', folder: true,
        files: files(...Array.from({ length: 12 }, (_, index) => `${index}.onnx`)) }, code: 'SOURCE_MISSING',
      want: /the source has 0\.onnx, .*9\.onnx and 2 more: name one in spec\.model\.graphs/ },
  ];
  for (const { name, acquired = folder, precision = 'Source', code, want } of refused) {
    it(`refuses ${name}`, () =>
      assert.throws(
        () => chooseGraph(acquired, precision, { variants }),
        (error: unknown) => error instanceof AppError && error.code === code && want.test(error.message),
      ));
  }
});

describe('checkFits', () => {
  it('refuses weights that do not fit the limit', () => {
    assert.throws(
      () => checkFits('m.onnx', { weightsBytes: 2 ** 30 }, 2 ** 30),
      /m\.onnx needs about 2\.4Gi of memory, the limit is 1Gi: raise spec\.memory\.limit/,
    );
  });
  it('accepts any size without a limit', () => checkFits('m.onnx', { weightsBytes: 2 ** 40 }, undefined));
  it('accepts weights that fit', () => checkFits('m.onnx', { weightsBytes: 2 ** 28 }, 2 ** 30));
});
