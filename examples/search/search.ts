/**
 * `npm run search -- QUESTION --url URL --guides DIR`: semantic search with a served sentence encoder.
 *
 * Ends: 0 with the best guides printed, 2 for a wrong command line, 4 when the server does not answer.
 */
import '../../scripts/node-guard.cjs';
import { AppError, messageOf } from '../../api/errors.ts';
import { exitCodes, run, type ExitCode } from '../../lib/lifecycle.ts';
import { createLogger } from '../../lib/log.ts';
import { parseFlags } from '../../lib/flags.ts';
import { need, print } from '../client/command-line.ts';
import { embed } from '../client/embeddings.ts';
import { readGuides } from '../models/guides.ts';
import { rankGuides } from './rank.ts';

const help = `Usage: npm run search -- QUESTION --url URL --guides DIR

Finds the guides that answer a question, by the vectors of a served sentence encoder.

  --url URL      where the encoder is served: status.address.url of the OnnxModel
  --guides DIR   the folder "guides" that npm run models wrote
  --model NAME   name of the OnnxModel (minilm)
  --count N      how many guides to print (3)
  --help         prints this
`;

await run(createLogger('search'), main);

async function main(): Promise<ExitCode> {
  const { values, positionals } = parseFlags('search', process.argv.slice(2), {
    help: { type: 'boolean' },
    url: { type: 'string' },
    guides: { type: 'string' },
    model: { type: 'string' },
    count: { type: 'string' },
  });
  if (values.help) return print(help);
  const question = positionals.join(' ');
  if (question === '') throw new AppError('BAD_FLAG', { flag: 'QUESTION', problem: 'the question is missing' });
  const set = await readGuides(need(values.guides, '--guides')).catch((error: unknown) => {
    throw new AppError('FILE_UNREADABLE', { path: values.guides ?? '', why: messageOf(error) });
  });
  const [vector] = await ask(need(values.url, '--url'), values.model ?? 'minilm', question);
  for (const { guide, cosine } of rankGuides(
    set,
    vector ?? new Float32Array(set.width),
    countOf(values.count ?? '3'),
  )) {
    print(`${cosine.toFixed(2)}  ${guide.id} (${guide.category})\n      ${guide.description}\n`);
  }
  return exitCodes.ok;
}

async function ask(url: string, model: string, question: string): Promise<readonly Float32Array[]> {
  try {
    return await embed(url, model, [question]);
  } catch (error) {
    throw new AppError('SOURCE_UNAVAILABLE', { uri: url, why: messageOf(error) }, { cause: error });
  }
}

function countOf(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1)
    throw new AppError('BAD_FLAG', { flag: '--count', problem: 'must be a whole number, 1 or more' });
  return count;
}
