import { Link, useSearch } from "wouter";
import { useAddress } from "../../address/address";
import { changed, linkTo } from "../../address/search";
import { useFieldText } from "../../calls/useFieldText";
import { FilterBar } from "../../filter/FilterBar";
import { useWords } from "../../language/useWords";
import { count, percent } from "../../numbers/figures";
import { Because, Nothing } from "../../nothing/Nothing";
import { Choice } from "../../parts/controls/Choice";
import { Empty } from "../../parts/Empty";
import { Icon } from "../../parts/Icon";
import { NoAnswer } from "../../parts/NoAnswer";
import { Pager } from "../../parts/Pager";
import { Waiting } from "../../parts/Waiting";
import { useSession } from "../../session/SessionContext";
import { useRange } from "../../time/RangeContext";
import { ignoredBy } from "./errorFilter";
import "./errors.css";
import { GroupDetail } from "./GroupDetail";
import { GroupTable } from "./GroupTable";
import { type Errors, ORDERS, useErrors } from "./useErrors";
import { words } from "./words";

/** Errors of one kind as one row: how many, how they went over time, and where; opened, its newest ones. */
export default function ErrorsPage() {
  const word = useWords(words);
  const text = useFieldText();
  const [, change] = useAddress();
  const errors = useErrors();
  const ignored = ignoredBy(errors.filtered.filter);
  return (
    <div className="page-body errors">
      <FilterBar />
      <div className="errors-toolbar">
        <Choice
          label={word.order}
          options={ORDERS.map((value) => ({ value, text: word.orders[value] }))}
          value={errors.order}
          change={(value) => change({ order: value })}
        />
        <Share errors={errors} />
        <ToExport />
      </div>
      {ignored.length > 0 && <p className="quiet">{word.ignored(ignored.map(text.name).join(", "))}</p>}
      {errors.problem ? <NoAnswer problem={errors.problem} again={errors.again} /> : <Answered errors={errors} />}
    </div>
  );
}

/** The way to an export of what the page shows. */
function ToExport() {
  const word = useWords(words);
  const search = useSearch();
  const session = useSession();
  if (!session.mayAsk("createExport")) return null;
  return (
    <Link className="button button-plain errors-end" href={linkTo("exports", changed(search, { error: null, order: null, kind: "ERRORS" }))}>
      <Icon name="download" />
      {word.exported}
    </Link>
  );
}

/** How many kinds there are, and how many of all calls failed. */
function Share({ errors: { page, inAll } }: { errors: Errors }) {
  const word = useWords(words);
  if (!page) return null;
  const { calls, failed, share } = inAll;
  return (
    <p className="quiet">
      {word.groups(count(page.totalCount))}
      {calls !== null && failed !== null && share !== null && ` · ${word.ofCalls(count(failed), count(calls), percent(share))}`}
    </p>
  );
}

function Answered({ errors }: { errors: Errors }) {
  const [, change] = useAddress();
  const { period } = useRange();
  const { page, open, inAll, pages, waiting } = errors;
  if (!page) return <Waiting lines={8} />;
  if (page.nodes.length === 0) return <NoErrors errors={errors} />;
  return (
    <>
      {open && <GroupDetail group={open} filter={errors.errorFilter} close={() => change({ error: null })} />}
      <div aria-busy={waiting}>
        <GroupTable groups={page.nodes} calls={inAll.calls} period={period} open={open?.fingerprint ?? null} show={(error) => change({ error })} />
      </div>
      <Pager pages={pages} pageInfo={page.pageInfo} />
    </>
  );
}

/** Why there is no error: no call failed, their details are gone, or no call is found at all. */
function NoErrors({ errors: { inAll, waiting, filtered } }: { errors: Errors }) {
  const word = useWords(words);
  const search = useSearch();
  const { found, failed, refusal } = inAll;
  const { filter, callFilter, clear } = filtered;
  if (waiting) return <Waiting lines={8} />;
  if (failed !== null && failed !== "0") {
    return (
      <Empty title={word.noDetails}>
        <p>{word.noDetailsWhy(count(failed))}</p>
        <p className="empty-actions">
          <Link className="button button-plain" href={linkTo("logs", changed(search, { error: null, order: null, status: "FAILED" }))}>
            {word.inLogs}
          </Link>
        </p>
      </Empty>
    );
  }
  if (found !== null && found !== "0") return <Because title={word.none} why={word.noneWhy(count(found))} filter={filter} clear={clear} />;
  return <Nothing filter={filter} callFilter={callFilter} refusal={refusal} clear={clear} {...(found === null && { noMatch: word.none })} />;
}
