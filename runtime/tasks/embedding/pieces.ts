/**
 * Decides which rows of a request run together, as a piece. A row is one text as token ids.
 *
 * Owns:  the grouping by length. On a CPU, the time of a run is proportional to its tokens, including padding.
 *        Therefore a piece contains rows of similar length: at most an eighth of its tokens are padding. A model with a
 *        fixed number of tokens may need more padding (inputs.ts).
 * Pure.
 */

export type Piece = {
  /** Indexes of the piece's rows in the request. */
  readonly rows: readonly number[];
  /** Tokens of the piece's longest row; shorter rows are padded to this length. */
  readonly length: number;
};

export type PieceLimits = {
  readonly maxRows: number;
  /**
   * Maximum tokens, including padding, of a piece with more than one row. This limits memory and the time that pooling
   * takes.
   */
  readonly maxTokens: number;
  /** False for a model without a mask: only rows of equal length are then grouped. */
  readonly canPad: boolean;
};

const maxPaddingShare = 1 / 8;

/**
 * @param lengths tokens of each row
 * @returns pieces from the shortest rows to the longest; each row is in one piece
 */
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

/** True if a piece may have these rows. A single row is always allowed. */
function fits(
  piece: { readonly rows: number; readonly tokens: number; readonly length: number },
  limits: PieceLimits,
): boolean {
  if (piece.rows === 1) return true;
  const padded = piece.rows * piece.length;
  if (piece.rows > limits.maxRows || padded > limits.maxTokens) return false;
  return padded - piece.tokens <= (limits.canPad ? padded * maxPaddingShare : 0);
}
