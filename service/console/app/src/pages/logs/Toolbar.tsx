import { Link, useSearch } from "wouter";
import { changed, linkTo } from "../../address/search";
import { FilterBox } from "../../filter/FilterBox";
import type { Menu } from "../../filter/useFacets";
import { useWords } from "../../language/useWords";
import { Button } from "../../parts/controls/Button";
import { Icon } from "../../parts/Icon";
import { useSession } from "../../session/SessionContext";
import { PAGES } from "../../shell/pages";
import { ColumnChooser } from "./list/ColumnChooser";
import type { Column } from "./list/columns";
import { OF_LIST } from "./list/order";
import { LiveTail } from "./tail/LiveTail";
import type { Tailed } from "./tail/useTail";
import { SavedViews } from "./views/SavedViews";
import { words } from "./words";

interface Props {
  menus: readonly Menu[];
  choose(name: string, value: string, how: "is" | "not"): void;
  tailed: Tailed;
  live: boolean;
  canTail: boolean;
  toggleLive(): void;
  showFresh(): void;
  seen: readonly Column[];
  shown: readonly Column[];
  changeColumns(names: readonly string[] | null): void;
  facetsShown: boolean;
  showFacets(shown: boolean): void;
}

/** Above the list: the filter's box, live, saved views, columns, and the way to an export of what is shown. */
export function Toolbar(props: Props) {
  const word = useWords(words);
  const session = useSession();
  const search = useSearch();
  const exportable = session.mayAsk("createExport") && PAGES.some((page) => page.path === "exports");
  return (
    <div className="toolbar" role="group" aria-label={word.calls}>
      <span className="toolbar-facets">
        <Button icon="filter" aria-label={word.filters} aria-expanded={props.facetsShown} onClick={() => props.showFacets(!props.facetsShown)} />
      </span>
      <FilterBox menus={props.menus} choose={props.choose} />
      <div className="toolbar-end">
        <LiveTail tailed={props.tailed} on={props.live} possible={props.canTail} toggle={props.toggleLive} show={props.showFresh} />
        <SavedViews />
        <ColumnChooser seen={props.seen} shown={props.shown} change={props.changeColumns} />
        {exportable && (
          <Link className="button button-plain" href={linkTo("exports", changed(search, OF_LIST))}>
            <Icon name="download" />
            <span className="wide">{word.exported}</span>
          </Link>
        )}
      </div>
    </div>
  );
}
