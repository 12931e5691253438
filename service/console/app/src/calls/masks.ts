/** A text with marks (`[redacted:email]`), in pieces. */
export interface Piece {
  readonly text: string;
  /** The rule that took something out here. */
  readonly rule: string | null;
}

const MARK = /(\[redacted:[a-z0-9][a-z0-9-]{1,47}\])/;

/** The pieces of a text, in their order. */
export function piecesOf(text: string): readonly Piece[] {
  return text
    .split(MARK)
    .filter((part) => part !== "")
    .map((part) => ({ text: part, rule: MARK.test(part) ? part.slice("[redacted:".length, -1) : null }));
}
