import { Link, useLocation, useSearch } from "wouter";
import { GRAPHQL_URL, HAS_GRAPHIQL } from "../address/address";
import { linkWithTime } from "../address/search";
import { useLanguage, useWords } from "../language/useWords";
import { Button } from "../parts/controls/Button";
import { Icon } from "../parts/Icon";
import { LanguageChoice } from "./LanguageChoice";
import type { Page } from "./page";
import { ThemeChoice } from "./ThemeChoice";
import { words } from "./words";
import { WhoIsSignedIn } from "./WhoIsSignedIn";

interface Props {
  pages: readonly Page[];
  close(): void;
  showHelp(): void;
}

/** The pages that may be seen, and under them who is signed in and how the console looks. */
export function Navigation({ pages, close, showHelp }: Props) {
  const word = useWords(words);
  const language = useLanguage();
  const [path] = useLocation();
  const search = useSearch();
  return (
    <nav className="navigation" aria-label={word.navigation}>
      <p className="brand">
        <img src="./icon.svg" alt="" width="20" height="20" />
        Calledger
        <span className="navigation-close">
          <Button kind="quiet" icon="close" aria-label={word.closeMenu} onClick={close} />
        </span>
      </p>
      <ul className="navigation-pages">
        {pages.map((page) => (
          <li key={page.path}>
            <Link
              href={linkWithTime(page.path, search)}
              className="navigation-link"
              aria-current={path === `/${page.path}` ? "page" : undefined}
              onClick={close}
            >
              <Icon name={page.icon} />
              {page.title[language]}
            </Link>
          </li>
        ))}
      </ul>
      <div className="navigation-foot">
        {HAS_GRAPHIQL && (
          <a className="navigation-tool" href={GRAPHQL_URL} target="_blank" rel="noreferrer" title={word.graphiqlHint}>
            <Icon name="code" />
            {word.graphiql}
          </a>
        )}
        <WhoIsSignedIn />
        <div className="navigation-choices">
          <LanguageChoice />
          <ThemeChoice />
          <Button kind="quiet" aria-label={word.keyboard} onClick={showHelp}>
            ?
          </Button>
        </div>
      </div>
    </nav>
  );
}
