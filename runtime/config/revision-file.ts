/**
 * Checks the config of a revision, which is one immutable configuration of a model (api/runtime-config.ts). Pure.
 *
 * Owns: the error for an invalid file. Missing and unknown fields are errors, because the operator writes every field.
 *       serve-file.ts reads the config of `serve`.
 */
import { AppError } from '../../api/errors.ts';
import { runtimeConfigSchema, type RuntimeConfig } from '../../api/runtime-config.ts';
import { checkOf } from '../../api/schema/check.ts';
import type { Schema } from '../../api/schema/builder.ts';

/**
 * @returns a function that checks a value and returns it. The function throws AppError BAD_CONFIG with the first
 * invalid field. Its parameter `where` names the file in messages, e.g. "runtime.json"
 */
export function fileReader<T>(schema: Schema<T>): (value: unknown, where: string) => T {
  const check = checkOf(schema, 'Refuse');
  return (value, where) => {
    const fault = check(value);
    if (fault === undefined) return value as T;
    const { path, problem } = fault;
    throw new AppError('BAD_CONFIG', { where: path === '' ? where : `${where}: ${path}`, problem });
  };
}

/** @throws AppError BAD_CONFIG */
export const checkRuntimeConfig: (value: unknown, where: string) => RuntimeConfig = fileReader(runtimeConfigSchema);
