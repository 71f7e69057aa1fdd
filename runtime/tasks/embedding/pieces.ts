/**
 * Decides which rows of a request run together.
 *
 * Owns:  the grouping by length. Time on a CPU follows padded tokens, so a piece holds rows of nearly one
 *        length: at most an eighth of it is padding, whatever lengths a request mixes.
 * Pure.
 */

export type Piece = {
  /** Positions of its rows in the request. */
  readonly rows: readonly number[];
  /** Tokens of its longest row: what the others are padded to. */
  readonly length: number;
};

export type PieceLimits = {
  readonly maxRows: number;
  /** Padded tokens of a piece of more than one row: bounds memory, and what pooling it costs at once. */
  readonly maxTokens: number;
  /** False for a model that takes no mask: then only rows of one length go together. */
  readonly canPad: boolean;
};

const maxPaddingShare = 1 / 8;

/** @param lengths tokens of each row. @returns pieces from the shortest rows to the longest; every row in one */
export function planPieces(lengths: readonly number[], limits: PieceLimits): readonly Piece[] {
  const order = lengths.map((_, row) => row).sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0) || a - b);
  const pieces: Piece[] = [];
  let rows: number[] = [];
  let tokens = 0;
  const close = (): void => {
    if (rows.length > 0) pieces.push({ rows, length: lengths[rows.at(-1) ?? 0] ?? 0 });
    rows = [];
    tokens = 0;
  };
  for (const row of order) {
    const length = lengths[row] ?? 0;
    if (!fits({ rows: rows.length + 1, tokens: tokens + length, length }, limits)) close();
    rows.push(row);
    tokens += length;
  }
  close();
  return pieces;
}

/** Whether a piece may be like that. A row alone always may. */
function fits(
  piece: { readonly rows: number; readonly tokens: number; readonly length: number },
  limits: PieceLimits,
): boolean {
  if (piece.rows === 1) return true;
  const padded = piece.rows * piece.length;
  if (piece.rows > limits.maxRows || padded > limits.maxTokens) return false;
  return padded - piece.tokens <= (limits.canPad ? padded * maxPaddingShare : 0);
}
