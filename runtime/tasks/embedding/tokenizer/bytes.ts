/**
 * The letters that byte-level tokenizers use for bytes: one printable character for each byte.
 *
 * Owns: the table (GPT-2's). Pure.
 */

const letters = makeLetters();

function makeLetters(): readonly string[] {
  const isPrinted = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    if (isPrinted(byte)) return String.fromCharCode(byte);
    next += 1;
    return String.fromCharCode(next - 1);
  });
}

/** The text's UTF-8 bytes, each as one letter. */
export function byteLetters(text: string): string {
  let result = '';
  for (const byte of Buffer.from(text, 'utf8')) result += letters[byte] ?? '';
  return result;
}
