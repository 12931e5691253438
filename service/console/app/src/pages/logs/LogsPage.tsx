import { useCallback, useEffect, useMemo } from "react";
import { useAddress } from "../../address/address";
import { Allowed } from "../../filter/Allowed";
import { useFacets } from "../../filter/useFacets";
import { useFilter } from "../../filter/useFilter";
import { FacetPanel } from "../../filter/FacetPanel";
import { FilterChips } from "../../filter/FilterChips";
import "../../filter/filter.css";
import { useStored } from "../../preferences/preferences";
import { useSession } from "../../session/SessionContext";
import { endsNow } from "../../time/range";
import { useRange } from "../../time/RangeContext";
import { CallDrawer } from "./call/CallDrawer";
import { HistogramChart } from "./histogram/HistogramChart";
import { useHistogram } from "./histogram/useHistogram";
import { CallTable } from "./list/CallTable";
import { COLUMNS, columnsOf } from "./list/columns";
import { HurdleNote } from "./list/HurdleNote";
import { hurdleOf, withoutAmount } from "./list/hurdle";
import { ListState } from "./list/ListState";
import { NEWEST_FIRST, type Order, orderOf, textOf } from "./list/order";
import { OrderSwitch } from "./list/OrderSwitch";
import { useBehindRows } from "./list/useBehindRows";
import { useCalls } from "./list/useCalls";
import "./logs.css";
import { Summary } from "./Summary";
import { useFollow } from "./tail/useFollow";
import { useTail } from "./tail/useTail";
import { Toolbar } from "./Toolbar";
import { useFacetsShown } from "./useFacetsShown";

/** The calls of a time, of a filter that the role may use. */
export default function LogsPage() {
  return (
    <Allowed>
      <Logs />
    </Allowed>
  );
}

/** Filters with counts at the side, bars over time, the list, and the open call at its right. */
function Logs() {
  const session = useSession();
  const { range, period, refresh } = useRange();
  const [parameters, change] = useAddress();
  const { filter, callFilter: wanted, choose, bound, clear } = useFilter();
  const [storedColumns, storeColumns] = useStored("columns");
  const [facetsShown, setFacetsShown] = useFacetsShown();

  const seen = useMemo(() => COLUMNS.filter((column) => session.view(column.governs) !== "DENIED"), [session]);
  const named = parameters.get("columns") ?? storedColumns;
  const shown = useMemo(() => columnsOf(named, seen), [named, seen]);
  const order = orderOf(parameters.get("sort"));
  // What the service would refuse is not asked: what is beside the list is of the calls that it would be of.
  const hurdle = hurdleOf(filter, order, period);
  const callFilter = useMemo(() => (hurdle === "currencies" ? withoutAmount(wanted) : wanted), [wanted, hurdle]);
  const { rows, stale } = useCalls(callFilter, hurdle === null ? order : NEWEST_FIRST, shown);
  const counting = useBehindRows(callFilter, stale);
  const menus = useFacets(counting);
  const counted = useHistogram(counting, counting !== callFilter);
  const open = parameters.get("call");
  const show = useCallback((id: string | null) => change({ call: id }, { replace: new URLSearchParams(location.search).has("call") }), [change]);

  const canTail = session.mayAsk("callRecorded") && endsNow(range) && textOf(order) === textOf(NEWEST_FIRST);
  const live = canTail && parameters.get("live") === "1";
  const tailed = useTail(callFilter, live);
  useFollow(tailed.fresh > 0, live && open === null, refresh);
  // Why it has ended, the list is told: with its session, or because the service is away.
  const broken = tailed.state === "broken";
  useEffect(() => {
    if (broken) refresh();
  }, [broken, refresh]);
  const sort = (next: Order) => change({ sort: textOf(next) });
  const again = () => {
    if (rows.problem) rows.again();
    if (counted.problem) counted.again();
    if (menus.problem) menus.again();
  };
  const changeColumns = (names: readonly string[] | null) => {
    const text = names?.join(",") ?? null;
    storeColumns(text);
    change({ columns: text }, { replace: true });
  };

  return (
    <div className="logs" data-facets={facetsShown} data-open={open !== null}>
      <aside className="logs-facets">
        <FacetPanel menus={menus} said={counted.problem?.code} filter={filter} choose={choose} bound={bound} clear={clear} close={() => setFacetsShown(false)} />
      </aside>
      <div className="logs-main">
        <Toolbar
          menus={menus.menus}
          choose={choose}
          tailed={tailed}
          live={live}
          canTail={canTail}
          toggleLive={() => change({ live: live ? null : "1" }, { replace: true })}
          showFresh={refresh}
          seen={seen}
          shown={shown}
          changeColumns={changeColumns}
          facetsShown={facetsShown}
          showFacets={setFacetsShown}
        />
        <FilterChips filter={filter} choose={choose} bound={bound} />
        <HistogramChart counted={counted} rows={rows} again={again} />
        <Summary counted={counted}>
          <OrderSwitch order={order} sort={sort} />
        </Summary>
        {hurdle !== null ? (
          <HurdleNote hurdle={hurdle} totals={counted.totals ?? []} />
        ) : (
          <ListState rows={rows} stale={stale} clear={clear} filter={filter} callFilter={callFilter} refusal={counted.problem} again={again}>
            <CallTable rows={rows} columns={shown} order={order} sort={sort} stale={stale} open={open} show={show} choose={choose} />
          </ListState>
        )}
      </div>
      {open !== null && <CallDrawer id={open} rows={rows} show={show} />}
    </div>
  );
}
