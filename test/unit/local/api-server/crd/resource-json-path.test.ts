/** The JSONPath of printer columns. */
import assert from 'node:assert/strict';
import { parseJsonPath } from '../../../../../local/api-server/crd/resource.ts';

describe('parseJsonPath', () => {
  const value = {
    spec: {
      a: 1,
      'x.y': 2,
      list: [
        { type: 'A', v: 1 },
        { type: 'B', v: 2 },
      ],
      'dash-ed': 3,
    },
  };
  const rows: readonly (readonly [path: string, want: readonly unknown[]])[] = [
    ['.spec.a', [1]],
    ['{.spec.a}', [1]],
    ['$.spec.a', [1]],
    ['.spec.dash-ed', [3]],
    ['.spec.x\\.y', [2]],
    [".spec['x.y']", [2]],
    ['.spec.list[1].v', [2]],
    ['.spec.list[*].v', [1, 2]],
    ['.spec.list[?(@.type=="B")].v', [2]],
    ['.spec.list[?(@.type=="C")].v', []],
    ['.nothing.at.all', []],
    ['.spec.list[9]', []],
  ];
  for (const [path, want] of rows) it(`reads ${path}`, () => assert.deepEqual(parseJsonPath(path)?.(value), want));
  for (const path of ['spec', '.spec[', '..a'])
    it(`does not support ${path}`, () => assert.equal(parseJsonPath(path), undefined));
});
