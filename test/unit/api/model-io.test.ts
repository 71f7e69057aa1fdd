import assert from 'node:assert/strict';
import { ioChange, modelIo, readModelIo, type ModelIo } from '../../../api/model-io.ts';

const stable: ModelIo = { inputs: { x: 'float32[?,4]' }, outputs: { y: 'float32[?,2]' } };

describe('the inputs and outputs of a model', () => {
  it('are written shortly, without the names of free dimensions', () => {
    const io = modelIo(
      [
        { name: 'x', type: 'float32', dims: ['batch', 4] },
        { name: 's', type: 'int64', dims: [] },
      ],
      [{ name: 'y', type: 'string' }],
    );
    assert.deepEqual(io, { inputs: { x: 'float32[?,4]', s: 'int64[]' }, outputs: { y: 'string' } });
    assert.deepEqual(readModelIo(JSON.parse(JSON.stringify(io))), io);
  });

  for (const value of [
    undefined,
    null,
    7,
    [],
    {},
    { inputs: {} },
    { inputs: { x: 1 }, outputs: {} },
    { inputs: { x: 'y'.repeat(300) }, outputs: {} },
  ]) {
    it(`are not read from ${JSON.stringify(value)?.slice(0, 40)}`, () => assert.equal(readModelIo(value), undefined));
  }

  type Row = {
    readonly name: string;
    readonly inputs?: Record<string, string>;
    readonly outputs?: Record<string, string>;
    readonly from?: ModelIo;
    readonly compatible?: RegExp;
    readonly exact?: RegExp;
  };
  // prettier-ignore
  const rows: readonly Row[] = [
    { name: 'nothing' },
    { name: 'an input of another type', inputs: { x: 'int64[?,4]' },
      compatible: /^input 'x' is int64\[\?,4\], stable has float32\[\?,4\]$/, exact: /int64/ },
    { name: 'an input that accepts fewer shapes', inputs: { x: 'float32[1,4]' },
      compatible: /input 'x' is float32\[1,4\]/, exact: /input 'x'/ },
    { name: 'an input that accepts more shapes', inputs: { x: 'float32[?,?]' },
      exact: /input 'x' is float32\[\?,\?\]/ },
    { name: 'an input of any rank', inputs: { x: 'float32' }, exact: /input 'x' is float32,/ },
    { name: 'an input of another rank', inputs: { x: 'float32[?,4,1]' }, compatible: /input 'x'/, exact: /input 'x'/ },
    { name: 'another size', inputs: { x: 'float32[?,5]' }, compatible: /input 'x'/, exact: /input 'x'/ },
    { name: 'one input more', inputs: { x: 'float32[?,4]', z: 'float32[1]' },
      compatible: /^input 'z' is new: stable has 'x'$/, exact: /'z' is new/ },
    { name: 'one input less', inputs: {},
      compatible: /^input 'x' is missing: the candidate has no inputs$/, exact: /input 'x' is missing/ },
    { name: 'another name', inputs: { input: 'float32[?,4]' },
      compatible: /input 'input' is new/, exact: /input 'input' is new/ },
    { name: 'one output more', outputs: { y: 'float32[?,2]', z: 'int64[?]' }, exact: /^output 'z' is new$/ },
    { name: 'one output less', outputs: {},
      compatible: /^output 'y' is missing: the candidate has no outputs$/, exact: /'y' is missing/ },
    { name: 'another output', outputs: { z: 'float32[?,2]' },
      compatible: /^output 'y' is missing: the candidate has 'z'$/, exact: /'y' is missing/ },
    { name: 'an output of another type', outputs: { y: 'float16[?,2]' },
      compatible: /^output 'y' is float16\[\?,2\], stable has float32\[\?,2\]$/, exact: /float16/ },
    { name: 'an output of another size', outputs: { y: 'float32[?,3]' },
      compatible: /output 'y'/, exact: /output 'y'/ },
    { name: 'an output of a size that is free with stable', from: { ...stable, outputs: { y: 'float32[?,?]' } },
      outputs: { y: 'float32[?,2]' }, exact: /output 'y'/ },
    { name: 'an output whose size is free now', outputs: { y: 'float32[?,?]' },
      compatible: /output 'y' is float32\[\?,\?\], stable has float32\[\?,2\]/, exact: /output 'y'/ },
  ];
  for (const { name, inputs = stable.inputs, outputs = stable.outputs, from = stable, compatible, exact } of rows) {
    const change = `${compatible === undefined ? '' : 'not '}compatible, ${exact === undefined ? '' : 'not '}the same`;
    it(`change by ${name}: ${change}`, () => {
      const candidate = { inputs, outputs };
      for (const [policy, says] of [
        ['Compatible', compatible],
        ['Exact', exact],
      ] as const) {
        const change = ioChange(from, candidate, policy);
        if (says === undefined) assert.equal(change, undefined);
        else assert.match(change ?? 'no change', says);
      }
      assert.equal(ioChange(from, candidate, 'Any'), undefined);
    });
  }
});
