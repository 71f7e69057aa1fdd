/**
 * `npm run -s golden:record -- QUESTIONS --url URL --model NAME > golden.jsonl`: sends questions to a model that is
 * known to be correct, and writes each question with its answer as a golden set (docs/golden-sets.md).
 *
 * Ends: 0 with the set on stdout, 2 for a wrong command line or question, 4 when the server does not answer.
 */
import '../../scripts/node-guard.cjs';
import { readFile } from 'node:fs/promises';
import { AppError, messageOf } from '../../api/errors.ts';
import { exitCodes, run, type ExitCode } from '../../lib/lifecycle.ts';
import { createLogger } from '../../lib/log.ts';
import { parseFlags } from '../../lib/flags.ts';
import { need, print } from '../client/command-line.ts';
import { linesOf, withAnswer } from './set.ts';

const help = `Usage: npm run -s golden:record -- QUESTIONS --url URL --model NAME > golden.jsonl

Asks a model that is known to be right, and writes its answers beside the questions, as a golden set.

  QUESTIONS      file of JSON lines: {"request": …} in the form of the Open Inference Protocol or of /v1/embeddings
  --url URL      where the model is served: status.address.url of the OnnxModel
  --model NAME   name of the OnnxModel
  --help         prints this
`;

await run(createLogger('record'), main);

async function main(): Promise<ExitCode> {
  const { values, positionals } = parseFlags('record', process.argv.slice(2), {
    help: { type: 'boolean' },
    url: { type: 'string' },
    model: { type: 'string' },
  });
  if (values.help) return print(help);
  const [file] = positionals;
  if (file === undefined)
    throw new AppError('BAD_FLAG', { flag: 'QUESTIONS', problem: 'the file with the questions is missing' });
  const [url, model] = [need(values.url, '--url'), need(values.model, '--model')];
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new AppError('FILE_UNREADABLE', { path: file, why: messageOf(error) });
  });
  for (const line of linesOf(text, file)) print(`${await withAnswer(line, { url, model })}\n`);
  return exitCodes.ok;
}
