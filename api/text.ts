/** Formats text and numbers for messages. Pure. */

/**
 * The text, or its beginning and "…", in at most `limit` UTF-16 units. The API server refuses a status with a text that
 * is too long. A surrogate pair is never split.
 */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const kept = text.slice(0, limit - 1);
  const last = kept.charCodeAt(kept.length - 1);
  // Drop a lone surrogate at the end: in UTF-8 it would become the replacement character.
  return `${last >= 0xd800 && last <= 0xdbff ? kept.slice(0, -1) : kept}…`;
}

/**
 * The text, or its beginning and "…", in at most `limitBytes` bytes of UTF-8. A character is never split, and a lone
 * surrogate becomes the replacement character.
 */
export function cutBytes(text: string, limitBytes: number): string {
  const whole = text.toWellFormed();
  if (Buffer.byteLength(whole) <= limitBytes) return whole;
  const { read } = new TextEncoder().encodeInto(whole, new Uint8Array(limitBytes - Buffer.byteLength('…')));
  return `${whole.slice(0, read)}…`;
}

/** A number with at most three decimals: 299.90000000000003 → "299.9". */
export function decimal(value: number): string {
  return String(Number(value.toFixed(3)));
}

/**
 * The formatter of `counted`. It is kept, because making it costs far more than formatting, and made at the first use,
 * because most programs do not need it.
 */
let grouped: Intl.NumberFormat | undefined;

/** A count with its noun: "1 pod", "2 pods", "11,020 requests". */
export function plural(count: number, one: string): string {
  return `${counted(count)} ${one}${count === 1 ? '' : 's'}`;
}

/** A count with thousands separators: 1180 → "1,180". */
export function counted(count: number): string {
  grouped ??= new Intl.NumberFormat('en-US');
  return grouped.format(count);
}
