import { Suspense, useEffect, useState } from "react";
import { Redirect, Route, Switch, useLocation } from "wouter";
import { useLanguage, useWords } from "../language/useWords";
import { Button } from "../parts/controls/Button";
import { Empty } from "../parts/Empty";
import { Waiting } from "../parts/Waiting";
import { useSession } from "../session/SessionContext";
import { RangeControl } from "../time/RangeControl";
import { ErrorBoundary } from "./ErrorBoundary";
import { KeyboardHelp } from "./KeyboardHelp";
import { Navigation } from "./Navigation";
import { PAGES, pagesOf } from "./pages";
import { useShortcuts } from "./useShortcuts";
import { words } from "./words";

/** Navigation at the side, the page's title and time above, and the page. */
export function Layout() {
  const word = useWords(words);
  const language = useLanguage();
  const session = useSession();
  const [path] = useLocation();
  const [help, setHelp] = useState(false);
  const [menu, setMenu] = useState(false);
  const pages = pagesOf(session);
  const page = PAGES.find((one) => path === `/${one.path}`);
  useShortcuts(pages, () => setHelp(true));
  useEffect(() => setMenu(false), [path]);
  useEffect(() => {
    document.title = page === undefined ? "Calledger" : `${page.title[language]} · Calledger`;
  }, [page, language]);
  const first = pages[0];

  return (
    <div className="layout" data-menu={menu}>
      <a className="skip" href="#page" onClick={(event) => { event.preventDefault(); document.getElementById("page")?.focus(); }}>
        {word.skip}
      </a>
      <Navigation pages={pages} close={() => setMenu(false)} showHelp={() => setHelp(true)} />
      <div className="layout-main">
        <header className="page-head">
          <span className="page-menu">
            <Button kind="quiet" icon="menu" aria-label={word.menu} aria-expanded={menu} onClick={() => setMenu(!menu)} />
          </span>
          <h1>{page?.title[language] ?? "Calledger"}</h1>
          {page !== undefined && <RangeControl ranged={page.ranged} />}
        </header>
        <main id="page" tabIndex={-1}>
          <ErrorBoundary key={path} title={word.broken} reload={word.reload}>
            <Suspense fallback={<Waiting lines={8} />}>
              <Switch>
                {pages.map((one) => (
                  <Route key={one.path} path={`/${one.path}`} component={one.component} />
                ))}
                <Route path="/">{first ? <Redirect to={`/${first.path}`} replace /> : <Empty title={word.nothing} />}</Route>
                <Route>
                  <Empty title={page === undefined ? word.unknown : word.forbidden(word.role[session.role])} />
                </Route>
              </Switch>
            </Suspense>
          </ErrorBoundary>
        </main>
      </div>
      {help && <KeyboardHelp pages={pages} close={() => setHelp(false)} />}
    </div>
  );
}
