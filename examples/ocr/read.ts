/**
 * `npm run -s read -- --url URL --keys FILE [PNG]`: prints the text of a picture of one line.
 *
 * Ends: 0 with the text on stdout, 2 for a wrong command line or file, 4 when the server does not answer.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { AppError, messageOf } from '../../api/errors.ts';
import { run, type ExitCode } from '../../lib/lifecycle.ts';
import { createLogger } from '../../lib/log.ts';
import { parseFlags } from '../../lib/flags.ts';
import { need, print } from '../client/command-line.ts';
import { infer, type FloatTensor } from '../client/oip.ts';
import { readAlphabet, decodeSteps, type Reading } from './ctc.ts';
import { lineTensor } from './line-image.ts';

import '../../scripts/node-guard.cjs';

const help = `Usage: npm run -s read -- --url URL --keys FILE [PNG]

Reads a picture of one line of text (examples/ocr/line.png if none is given).

  --url URL      where the model of examples/ocr.yaml is served: status.address.url of the OnnxModel
  --keys FILE    the model's alphabet: ocr/keys.txt in the folder that npm run models wrote
  --model NAME   name of the OnnxModel (ocr)
  --help         prints this
`;

await run(createLogger('read'), main);

async function main(): Promise<ExitCode> {
  const { values, positionals } = parseFlags('read', process.argv.slice(2), {
    help: { type: 'boolean' },
    url: { type: 'string' },
    keys: { type: 'string' },
    model: { type: 'string' },
  });
  if (values.help) return print(help);
  const [path = fileURLToPath(new URL('line.png', import.meta.url))] = positionals;
  const alphabet = readAlphabet((await read(need(values.keys, '--keys'))).toString('utf8'));
  const { text } = await recognise(pictureOf(await read(path), path), alphabet, {
    url: need(values.url, '--url'),
    model: values.model ?? 'ocr',
  });
  return print(`${text}\n`);
}

function pictureOf(png: Buffer, path: string): FloatTensor {
  try {
    return lineTensor(png);
  } catch (error) {
    throw new AppError('FILE_UNREADABLE', { path, why: messageOf(error) });
  }
}

async function recognise(
  line: FloatTensor,
  alphabet: readonly string[],
  where: { readonly url: string; readonly model: string },
): Promise<Reading> {
  try {
    return await recogniseLine(line, alphabet, where);
  } catch (error) {
    throw new AppError('SOURCE_UNAVAILABLE', { uri: where.url, why: messageOf(error) }, { cause: error });
  }
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new AppError('FILE_UNREADABLE', { path, why: messageOf(error) });
  }
}

/** The names of the model's only input and only output. */
const names = { input: 'x', output: 'softmax_11.tmp_0' } as const;

/**
 * @param line the result of `lineTensor`
 * @param alphabet the result of `readAlphabet`
 * @param where the base URL and the name of the served model
 */
async function recogniseLine(
  line: FloatTensor,
  alphabet: readonly string[],
  where: { readonly url: string; readonly model: string },
): Promise<Reading> {
  const steps = await infer(where.url, where.model, { name: names.input, ...line }, names.output);
  return decodeSteps(steps, alphabet);
}
