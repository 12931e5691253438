import { useLanguage, useWords } from "../language/useWords";
import { Dialog } from "../parts/controls/Dialog";
import type { Page } from "./page";
import { words } from "./words";

/** All keys of the console. */
export function KeyboardHelp({ pages, close }: { pages: readonly Page[]; close(): void }) {
  const word = useWords(words);
  const language = useLanguage();
  const keys: readonly (readonly [readonly string[], string])[] = [
    [["?"], word.keys.help],
    [["/"], word.keys.filter],
    [["r"], word.keys.refresh],
    [["↑", "↓"], word.keys.rows],
    [["Enter"], word.keys.open],
    [["j", "k"], word.keys.next],
    [["Esc"], word.keys.close],
    ...pages.map((page) => [["g", page.key], page.title[language]] as const),
  ];
  return (
    <Dialog title={word.keyboard} close={close}>
      <dl className="keys">
        {keys.map(([names, text]) => (
          <div key={text}>
            <dt>
              {names.map((name) => (
                <kbd key={name}>{name}</kbd>
              ))}
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
