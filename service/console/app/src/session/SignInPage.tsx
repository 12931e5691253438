import { type FormEvent, useId, useState } from "react";
import type { Problem } from "../api/problem";
import { useWords } from "../language/useWords";
import { Button } from "../parts/controls/Button";
import { ProblemNote } from "../parts/ProblemNote";
import { LanguageChoice } from "../shell/LanguageChoice";
import { ThemeChoice } from "../shell/ThemeChoice";
import type { SignIn } from "./session";
import "./session.css";
import { words } from "./words";

interface Props {
  enter(given: SignIn): Promise<Problem | null>;
  /** The session before has ended by itself. */
  ended: boolean;
}

/** The page to sign in with a key. */
export function SignInPage({ enter, ended }: Props) {
  const word = useWords(words);
  const id = useId();
  const [key, setKey] = useState("");
  const [exchange, setExchange] = useState(true);
  const [keep, setKeep] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [waiting, setWaiting] = useState(false);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setWaiting(true);
    setProblem(await enter({ key: key.trim(), exchange, keep }));
    setWaiting(false);
  };

  return (
    <main className="sign-in">
      <form className="sign-in-card" onSubmit={(event) => void submit(event)}>
        <p className="sign-in-brand">Calledger</p>
        <h1>{word.title}</h1>
        {ended && <p role="status">{word.ended}</p>}
        <label htmlFor={`${id}-key`}>{word.key}</label>
        <input
          id={`${id}-key`}
          className="mono"
          type="password"
          autoComplete="off"
          spellCheck={false}
          placeholder="cl_…"
          required
          autoFocus
          value={key}
          onChange={(event) => setKey(event.target.value)}
          aria-describedby={`${id}-where`}
        />
        <p id={`${id}-where`} className="quiet">
          {word.where}
        </p>
        <label className="tick">
          <input type="checkbox" checked={exchange} onChange={(event) => setExchange(event.target.checked)} />
          <span>
            {word.exchange}
            <small>{word.exchangeNote}</small>
          </span>
        </label>
        <label className="tick">
          <input type="checkbox" checked={keep} onChange={(event) => setKeep(event.target.checked)} />
          <span>
            {word.keep}
            <small>{word.keepNote}</small>
          </span>
        </label>
        {problem !== null && <ProblemNote problem={problem} />}
        <Button kind="primary" type="submit" busy={waiting}>
          {word.signIn}
        </Button>
      </form>
      <footer className="sign-in-choices">
        <LanguageChoice />
        <ThemeChoice />
      </footer>
    </main>
  );
}
