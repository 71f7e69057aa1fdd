/**
 * Text that has to fit: statuses, conditions and Events have bounds, and a status that breaks one is refused whole.
 */

/** The text, or its beginning with a mark, in at most `limit` characters. Never ends in half a character. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const kept = text.slice(0, limit - 1);
  const last = kept.charCodeAt(kept.length - 1);
  // A lone first half of a pair would be stored as another character than was written.
  return `${last >= 0xd800 && last <= 0xdbff ? kept.slice(0, -1) : kept}…`;
}

/** A measured number for a person: at most three digits behind the point, 299.90000000000003 → "299.9". */
export function decimal(value: number): string {
  return String(Number(value.toFixed(3)));
}

/** "1 pod", "2 pods", "11,020 requests". */
export function plural(count: number, one: string): string {
  return `${count.toLocaleString('en-US')} ${one}${count === 1 ? '' : 's'}`;
}

/** 1180 → "1,180" */
export function counted(count: number): string {
  return count.toLocaleString('en-US');
}
