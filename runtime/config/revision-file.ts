/**
 * Reads the config of one revision (api/runtime-config.ts) and trusts none of it.
 *
 * Owns:  how a fault of a file becomes an error. The operator's file has every field: one that is missing is an error,
 *        and so is one that is not known. What a person writes for `serve` is in serve-file.ts.
 * Pure.
 */
import { AppError } from '../../api/errors.ts';
import { runtimeConfigSchema, type RuntimeConfig } from '../../api/runtime-config.ts';
import { checkOf } from '../../api/schema/check.ts';
import type { Schema } from '../../api/schema/builder.ts';

/**
 * The reader of a file. The value itself is returned.
 *
 * @returns a function whose `where` is what is read, for messages, e.g. "runtime.json"; it throws AppError BAD_CONFIG
 *          with the first field at fault
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
