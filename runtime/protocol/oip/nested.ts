/**
 * The two forms of a tensor's JSON data: one flat row-major list, or lists nested like the shape.
 *
 * Owns:  telling them apart, and flattening. Pure; the depth is limited by the shape.
 */
import { invalidRequest } from './datatypes.ts';

/**
 * @returns the elements in row-major order. The flat form is returned unchanged, with any length.
 * @throws AppError REQUEST_INVALID when the nesting does not match the shape
 */
export function flattenNested(data: readonly unknown[], dims: readonly number[], where: string): readonly unknown[] {
  if (!Array.isArray(data[0])) {
    const nested = data.findIndex((value) => Array.isArray(value));
    if (nested >= 0) throw invalidRequest(`${where}: element ${nested} of its data is a list among values`);
    return data;
  }
  const flat: unknown[] = [];
  collect(data, dims, 0, { flat, where });
  return flat;
}

type Target = { readonly flat: unknown[]; readonly where: string };

function collect(list: readonly unknown[], dims: readonly number[], axis: number, into: Target): void {
  if (list.length !== dims[axis])
    throw invalidRequest(
      `${into.where}: a list at depth ${axis + 1} of its data has ${list.length} entries, but its shape ` +
        `[${dims.join(',')}] needs ${dims[axis] ?? 'none'}`,
    );
  const last = axis === dims.length - 1;
  for (const value of list) {
    if (Array.isArray(value) === last)
      throw invalidRequest(`${into.where}: the nesting of its data does not match its shape [${dims.join(',')}]`);
    if (last) into.flat.push(value);
    else collect(value as unknown[], dims, axis + 1, into);
  }
}
