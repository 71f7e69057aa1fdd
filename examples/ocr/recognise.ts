/** Reads one line of text in a picture with a served PP-OCR model. */
import { infer, type FloatTensor } from '../client/oip.ts';
import { decodeSteps, type Reading } from './ctc.ts';

/** Names of the model's only input and output. */
const names = { input: 'x', output: 'softmax_11.tmp_0' } as const;

/**
 * @param line from `lineTensor`
 * @param alphabet from `readAlphabet`
 * @param where base URL and name of the served model
 */
export async function recogniseLine(
  line: FloatTensor,
  alphabet: readonly string[],
  where: { readonly url: string; readonly model: string },
): Promise<Reading> {
  const steps = await infer(where.url, where.model, { name: names.input, ...line }, names.output);
  return decodeSteps(steps, alphabet);
}
