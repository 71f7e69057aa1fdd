/**
 * Runs a batch in the engine process: the joined rows of all requests, or one request after the other.
 *
 * Owns: what happens when a joined run fails or its outputs cannot be split: each request then runs alone, so that one
 *       invalid request does not fail the others.
 */
import { failedPart } from '../rows.ts';
import type { EngineWork, WirePart, WireResult, WireTensor } from './messages.ts';
import { feedRows, type Feeds, type NativeRequest } from './native-request.ts';

/** @throws when the batch was cancelled */
export async function runNativeBatch(
  request: NativeRequest,
  { sets, rows = [], outputs }: EngineWork & { kind: 'run' },
): Promise<WireResult> {
  const began = performance.now();
  const all = sets.map((set) => request.feedsOf(set));
  const [joined] = all;
  const isJoined = joined !== undefined && rows.length > 1;
  const whole = isJoined ? await runJoined(request, joined, rows, outputs) : undefined;
  if (whole !== undefined) return { whole, parts: [], inferMs: performance.now() - began, together: true };
  const parts: WirePart[] = [];
  for (const feeds of isJoined ? cutFeeds(joined, rows) : all) parts.push(await runAlone(request, feeds, outputs));
  return { parts, inferMs: performance.now() - began, together: parts.length === 1 };
}

async function runJoined(
  request: NativeRequest,
  feeds: Feeds,
  rows: readonly number[],
  outputs: readonly string[],
): Promise<readonly WireTensor[] | undefined> {
  const total = rows.reduce((sum, count) => sum + count, 0);
  try {
    const made = await request.once(feeds, outputs);
    if ([...made.values()].every(({ dims }) => dims[0] === total)) return request.wireAll(made);
    for (const output of made.values()) request.release(output);
    return undefined;
  } catch (error) {
    if (request.isCancelled) throw error;
    return undefined;
  }
}

async function runAlone(request: NativeRequest, feeds: Feeds, outputs: readonly string[]): Promise<WirePart> {
  try {
    return { kind: 'Done', outputs: request.wireAll(await request.once(feeds, outputs)) };
  } catch (error) {
    if (request.isCancelled) throw error;
    return failedPart(error) as WirePart;
  }
}

/** The feeds of each request of a batch, in place. */
function cutFeeds(feeds: Feeds, rows: readonly number[]): readonly Feeds[] {
  let row = 0;
  return rows.map((count) => {
    const own = new Map([...feeds].map(([name, feed]) => [name, feedRows(feed, row, count)] as const));
    row += count;
    return own;
  });
}
