/**
 * Finds fields that occur twice in a JSON text. JSON.parse keeps the last value of such a field without an error.
 * Pure: the text must be valid JSON.
 */

/** @returns paths of repeated fields, such as `spec.size` */
export function duplicateKeys(text: string): string[] {
  const scanner = new Scanner(text);
  scanner.value('');
  return scanner.found;
}

class Scanner {
  readonly #text: string;
  #at = 0;
  readonly found: string[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  value(path: string): void {
    this.#skipSpace();
    const first = this.#text[this.#at];
    if (first === '{') this.#object(path);
    else if (first === '[') this.#list(path);
    else if (first === '"') this.#string();
    else this.#scalar();
  }

  #object(path: string): void {
    const seen = new Set<string>();
    this.#at += 1;
    for (this.#skipSpace(); this.#text[this.#at] !== '}'; this.#skipComma()) {
      const name = JSON.parse(this.#string()) as string;
      const below = path === '' ? name : `${path}.${name}`;
      if (seen.has(name)) this.found.push(below);
      seen.add(name);
      this.#skipSpace();
      this.#at += 1; // Skip the colon.
      this.value(below);
    }
    this.#at += 1;
  }

  #list(path: string): void {
    this.#at += 1;
    let index = 0;
    for (this.#skipSpace(); this.#text[this.#at] !== ']'; this.#skipComma()) {
      this.value(`${path}[${index}]`);
      index += 1;
    }
    this.#at += 1;
  }

  #string(): string {
    const start = this.#at;
    this.#at += 1;
    while (this.#text[this.#at] !== '"') this.#at += this.#text[this.#at] === '\\' ? 2 : 1;
    this.#at += 1;
    return this.#text.slice(start, this.#at);
  }

  #scalar(): void {
    while (this.#at < this.#text.length && !',]} \n\r\t'.includes(this.#text[this.#at] ?? '')) this.#at += 1;
  }

  #skipComma(): void {
    this.#skipSpace();
    if (this.#text[this.#at] === ',') this.#at += 1;
    this.#skipSpace();
  }

  #skipSpace(): void {
    while (' \n\r\t'.includes(this.#text[this.#at] ?? 'x')) this.#at += 1;
  }
}
