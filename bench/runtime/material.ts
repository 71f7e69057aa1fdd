/** The inputs that are sent in a case: rows of tensors. The case `texts` also has the texts of its rows. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TokenPipeline } from '../../runtime/tasks/embedding/tokenizer/pipeline.ts';
import { rowOfIds, rowsOf, type CaseName, type Row } from './cases.ts';
import { maxTokens } from './servers/commands.ts';
import { sentencesOf } from './texts.ts';

export type Material = { readonly rows: readonly Row[]; readonly texts: readonly string[] };

const licence = join(import.meta.dirname, '..', '..', 'LICENSE');

export function materialFor(name: CaseName, modelFolder: string): Material {
  if (name !== 'texts') return { rows: rowsOf(name), texts: [] };
  const tokenizer = new TokenPipeline(JSON.parse(readFileSync(join(modelFolder, 'tokenizer.json'), 'utf8')));
  const { before, after } = tokenizer.around;
  const texts = sentencesOf(readFileSync(licence, 'utf8'));
  const rows = texts.map((text) => {
    const most = maxTokens - before.length - after.length;
    return rowOfIds([...before, ...tokenizer.encode(text).slice(0, most), ...after]);
  });
  return { rows, texts };
}
