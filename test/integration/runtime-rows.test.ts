/**
 * Checks, for graphs whose rows inspection reports as independent, that ONNX Runtime gives the same results when rows
 * run together and when each runs alone. A row is everything at one index of the first dimension of the inputs.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { randomGraph } from '../support/random-graphs.ts';

const program = fileURLToPath(new URL('../support/programs/rows-together.ts', import.meta.url));
type Line = { readonly seed: number; readonly same?: boolean };

/** Runs graphs in a child process. If a graph crashes the process, another process continues after that graph. */
function tryGraphs(from: number, to: number): readonly Line[] {
  const lines: Line[] = [];
  for (let next = from; next < to; next = (lines.at(-1)?.seed ?? to) + 1) {
    const { stdout, status } = spawnSync(process.execPath, [program, String(next), String(to)], {
      encoding: 'utf8',
      maxBuffer: 64 * 2 ** 20,
    });
    const said = stdout
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line);
    lines.push(...said);
    if (status === 0 || said.length === 0) break;
  }
  return lines;
}

describe('rows that are reported as independent', function () {
  it('have the same results together and alone, for any graph', () => {
    const tried = tryGraphs(1, 3000).filter(({ same }) => same !== undefined);
    const wrong = tried
      .filter(({ same }) => same === false)
      .map(({ seed }) => `${seed}: ${JSON.stringify(randomGraph(seed).graph.nodes)}`);
    assert.deepEqual(wrong, []);
    assert.ok(tried.length > 200, `only ${tried.length} graphs were tried`);
  });
});
