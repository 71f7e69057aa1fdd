/**
 * Stores the result of a build.
 *
 * Owns:  the folder's files. The result is written last, after the model is on disk: a folder with a result is
 *        complete. The server adds a file with its measurements (runtime/serve/kept-measures.ts).
 */
import { open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The optimised graph, the shared weights, and the result. */
export const files = { graph: 'model.onnx', weights: 'model.bin', result: 'result.json' } as const;
/** The server's measurements of this build. The result does not depend on them. */
export const measuresName = 'measures.json';
const modelFiles: readonly string[] = [files.graph, files.weights];

/** Moves a finished build from `scratch` to `folder`. If the build is not `optimised`, only the result is kept. */
export async function keepBuild(
  scratch: string,
  folder: string,
  result: { readonly optimised: boolean },
): Promise<void> {
  for (const name of await readdir(scratch)) {
    const path = join(scratch, name);
    if (!result.optimised || !modelFiles.includes(name)) await rm(path, { recursive: true, force: true });
    else await sync(path);
  }
  const sizes = await sizesIn(scratch);
  await writeFile(join(scratch, files.result), JSON.stringify({ sizes, result }));
  await sync(join(scratch, files.result));
  await rename(scratch, folder);
}

/**
 * @returns undefined when the folder has no result, or when the sizes of the files differ from the sizes stored with
 * the result
 */
export async function readBuild(folder: string): Promise<unknown> {
  try {
    const { sizes, result } = JSON.parse(await readFile(join(folder, files.result), 'utf8')) as {
      readonly sizes?: unknown;
      readonly result?: unknown;
    };
    return JSON.stringify(await sizesIn(folder)) === JSON.stringify(sizes) ? result : undefined;
  } catch {
    return undefined;
  }
}

async function sizesIn(folder: string): Promise<Record<string, number>> {
  const sizes: Record<string, number> = {};
  for (const name of (await readdir(folder)).sort())
    if (modelFiles.includes(name)) sizes[name] = (await stat(join(folder, name))).size;
  return sizes;
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
