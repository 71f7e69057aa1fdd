/**
 * Redraws a text in place on a terminal.
 *
 * Owns: the number of drawn lines, and the cursor, which is hidden until `end`. `end` leaves the last text on screen.
 * Limits: lines that do not fit into the terminal's height are left out, so that the terminal never scrolls.
 */
import type { Terminal } from './terminal.ts';
import { cutTo } from './text-table.ts';

const escape = '\u001b[';

export class LiveFrame {
  readonly #write: (text: string) => void;
  readonly #terminal: Terminal;
  #lines = 0;
  #begun = false;

  constructor(write: (text: string) => void, terminal: Terminal) {
    this.#write = write;
    this.#terminal = terminal;
  }

  /** Draws the text. All output is written with one call, so that the screen does not flicker. */
  draw(text: string): void {
    const lines = this.#fitting(text.trimEnd().split('\n'));
    const home = this.#lines === 0 ? '' : `${escape}${this.#lines}A`;
    const begin = this.#begun ? '' : `${escape}?25l`;
    this.#begun = true;
    this.#write(`${begin}${home}\r${escape}J${lines.join('\n')}\n`);
    this.#lines = lines.length;
  }

  end(): void {
    if (this.#begun) this.#write(`${escape}?25h`);
    this.#begun = false;
  }

  #fitting(lines: readonly string[]): readonly string[] {
    const [width, height] = [this.#terminal.columns(), this.#terminal.rows() - 1];
    const shown =
      lines.length <= height
        ? lines
        : [...lines.slice(0, Math.max(1, height - 1)), `(${lines.length - height + 1} more lines: enlarge the window)`];
    return shown.map((line) => (line.includes(escape) ? cutPainted(line, width) : cutTo(line, width)));
  }
}

/** Cuts a line with colour codes to at most `width` visible columns. The codes themselves are kept. */
function cutPainted(line: string, width: number): string {
  let seen = 0;
  let kept = '';
  // eslint-disable-next-line no-control-regex
  for (const [piece] of line.matchAll(/\u001b\[\d+m|[^\u001b]/g)) {
    if (piece.startsWith('\u001b')) kept += piece;
    else if ((seen += 1) <= width) kept += piece;
  }
  return kept;
}
