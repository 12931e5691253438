import { type FormEvent, useState } from "react";
import { useLocation, useSearch } from "wouter";
import { useWords } from "../../../language/useWords";
import { Button } from "../../../parts/controls/Button";
import { Popover } from "../../../parts/controls/Popover";
import { useStored } from "../../../preferences/preferences";
import { type View, added, viewsOf, without } from "./views";
import { words } from "../words";

/** Filters, columns, order and time under a name, in this browser. */
export function SavedViews() {
  const word = useWords(words);
  const search = useSearch();
  const [path, go] = useLocation();
  const [stored, store] = useStored("views");
  const [name, setName] = useState("");
  const views = viewsOf(stored);
  const write = (next: readonly View[]) => store(next.length > 0 ? JSON.stringify(next) : null);
  const save = (event: FormEvent) => {
    event.preventDefault();
    write(added(views, name, search));
    setName("");
  };
  return (
    <Popover label={word.views} icon="star" side="end" text={<span className="wide">{word.views}</span>}>
      {(close) => (
        <div className="views">
          {views.length === 0 && <p className="quiet">{word.noViews}</p>}
          <ul>
            {views.map((view) => (
              <li key={view.name}>
                <button
                  type="button"
                  className="menu-item"
                  onClick={() => {
                    go(view.search === "" ? path : `${path}?${view.search}`);
                    close();
                  }}
                >
                  {view.name}
                </button>
                <Button kind="quiet" icon="close" aria-label={word.deleteView(view.name)} onClick={() => write(without(views, view.name))} />
              </li>
            ))}
          </ul>
          <form onSubmit={save}>
            <input aria-label={word.viewName} placeholder={word.viewName} value={name} maxLength={60} onChange={(event) => setName(event.target.value)} />
            <Button type="submit" disabled={name.trim() === ""}>
              {word.saveView}
            </Button>
          </form>
        </div>
      )}
    </Popover>
  );
}
