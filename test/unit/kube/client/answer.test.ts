/** The lines of a watch, and the limit of their length. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { readLines } from '../../../../kube/client/answer.ts';

const limitBytes = 4;

async function linesOf(chunks: readonly string[]): Promise<readonly string[]> {
  const body = Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
  const lines: string[] = [];
  for await (const line of readLines(body, limitBytes, 'GET /things')) lines.push(line);
  return lines;
}

describe('readLines', () => {
  // prettier-ignore
  const rows: readonly (readonly [says: string, chunks: readonly string[], lines: readonly string[] | undefined])[] =
    [
      ['gives the lines of one chunk', ['ab\ncd\n'], ['ab', 'cd']],
      ['joins a line that comes in several chunks', ['a', 'b', 'c\nd', '\n'], ['abc', 'd']],
      ['leaves out empty lines, and a last line without its end', ['ab\n\n \ncd'], ['ab']],
      ['takes a line as long as the limit', ['abcd\n', 'ab', 'cd\n'], ['abcd', 'abcd']],
      ['refuses a longer line that ends inside one chunk', ['ab\nabcde\n'], undefined],
      ['refuses a longer line that ends in the next chunk', ['abc', 'de\n'], undefined],
      ['refuses a longer line that has not ended', ['abc', 'de'], undefined],
    ];
  for (const [sentence, chunks, lines] of rows) {
    it(sentence, async () => {
      if (lines === undefined) await assert.rejects(linesOf(chunks), /one event is longer than 4 bytes/);
      else assert.deepEqual(await linesOf(chunks), lines);
    });
  }
});
