/**
 * Reads the JSON files in a model's folder.
 *
 * Limits: the caller gives the maximum size of a file, which is checked before the file is read.
 * Throws: AppError BAD_CONFIG naming the file.
 */
import { readFile, stat } from 'node:fs/promises';
import { AppError } from '../../../api/errors.ts';
import { isRecord } from '../../../api/record.ts';

/** Limit for configuration files, in bytes. */
export const maxConfigBytes = 1 << 20;

export type JsonObject = Readonly<Record<string, unknown>>;

/** @param field the field of the spec that names the file, for the error when it is missing */
export async function readJsonObject(path: string, maxBytes: number, field: string): Promise<JsonObject> {
  const found = await readJsonObjectOrNone(path, maxBytes);
  if (found === undefined)
    throw new AppError('BAD_CONFIG', { where: field, problem: `the source does not contain the file ${path}` });
  return found;
}

/** @returns an empty object for a missing file */
export async function readJsonObjectIfThere(path: string, maxBytes: number): Promise<JsonObject> {
  return (await readJsonObjectOrNone(path, maxBytes)) ?? {};
}

async function readJsonObjectOrNone(path: string, maxBytes: number): Promise<JsonObject | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true) return undefined;
  if (found.size > maxBytes)
    throw new AppError('BAD_CONFIG', {
      where: path,
      problem: `it has ${found.size} bytes, more than the limit of ${maxBytes}`,
    });
  const value = parse(await readFile(path, 'utf8'), path);
  if (!isRecord(value)) throw new AppError('BAD_CONFIG', { where: path, problem: 'it is not a JSON object' });
  return value;
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AppError('BAD_CONFIG', { where: path, problem: 'it is not JSON' }, { cause: error });
  }
}
