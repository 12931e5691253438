import { Fragment } from "react";
import { useWords } from "../language/useWords";
import { Icon } from "../parts/Icon";
import { piecesOf } from "./masks";
import { words } from "./words";

/** A message; what was taken out of it is marked with the rule that did so. */
export function Masked({ text }: { text: string }) {
  const word = useWords(words);
  return (
    <>
      {piecesOf(text).map((piece, number) =>
        piece.rule === null ? (
          <Fragment key={number}>{piece.text}</Fragment>
        ) : (
          <mark key={number} className="masked" title={word.maskedBy(piece.rule)}>
            <Icon name="lock" />
            <span className="unseen">{word.maskedBy(piece.rule)}</span>
            <span aria-hidden="true">{piece.rule}</span>
          </mark>
        ),
      )}
    </>
  );
}
