/**
 * Reads a report back (api/report.ts): what is known must have its type, what is not known is ignored.
 *
 * Owns:  the reading. The sidecar checks what the runtime counted with it, the operator what a sidecar sent: both come
 *        from another process, perhaps of another version, perhaps not ours.
 * Pure:  never throws. A report with one wrong type is not used: half of the numbers would be worse than none.
 */
import { isRecord } from './record.ts';
import { reportSchema, type Report } from './report.ts';
import { checkOf } from './schema/check.ts';
import { cut } from './text.ts';

export type ParsedReport =
  { readonly kind: 'report'; readonly report: Report } | { readonly kind: 'unusable'; readonly problem: string };

const check = checkOf(reportSchema, 'Ignore');

/** @param value what `JSON.parse` gave; bounded by the caller before it was parsed */
export function parseReport(value: unknown): ParsedReport {
  if (!isRecord(value)) return { kind: 'unusable', problem: 'the report is not an object' };
  if (value['schema'] !== 1)
    return {
      kind: 'unusable',
      problem: `the report has schema ${cut(JSON.stringify(value['schema'] ?? null), 40)}, this reader knows 1`,
    };
  const fault = check(value);
  return fault === undefined
    ? { kind: 'report', report: value as Report }
    : { kind: 'unusable', problem: `${fault.path}: ${fault.problem}` };
}
