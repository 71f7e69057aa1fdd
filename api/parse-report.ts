/**
 * Checks a report (api/report.ts) that another process sent, perhaps of another version. Pure; never throws.
 *
 * Owns: the rules. Known fields must have their types; unknown fields are ignored. If one field is wrong, no part of
 *       the report is used, because partial counts could bias the judgement of a new revision.
 */
import { isRecord } from './record.ts';
import { reportSchema, type Report } from './report.ts';
import { checkOf } from './schema/check.ts';
import { cut } from './text.ts';

export type ParsedReport =
  { readonly kind: 'report'; readonly report: Report } | { readonly kind: 'unusable'; readonly problem: string };

const check = checkOf(reportSchema, 'Ignore');

/** @param value from JSON.parse; the caller limits the size of the text before it is parsed */
export function parseReport(value: unknown): ParsedReport {
  if (!isRecord(value)) return { kind: 'unusable', problem: 'the report is not an object' };
  if (value['schema'] !== 1)
    return {
      kind: 'unusable',
      problem: `the report has schema ${cut(JSON.stringify(value['schema'] ?? null), 40)}; only schema 1 is supported`,
    };
  const fault = check(value);
  return fault === undefined
    ? { kind: 'report', report: value as Report }
    : { kind: 'unusable', problem: `${fault.path}: ${fault.problem}` };
}
