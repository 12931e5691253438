import { useAddress } from "../../address/address";
import { useFieldText } from "../../calls/useFieldText";
import { FilterChips } from "../../filter/FilterChips";
import "../../filter/filter.css";
import { useWords } from "../../language/useWords";
import { count, percent } from "../../numbers/figures";
import { Button } from "../../parts/Button";
import { Choice } from "../../parts/Choice";
import { Empty } from "../../parts/Empty";
import { NoAnswer } from "../../parts/NoAnswer";
import { Waiting } from "../../parts/Waiting";
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
  const { filter, choose, bound } = errors.filtered;
  const ignored = ignoredBy(filter);
  return (
    <div className="page-body errors">
      <div className="errors-toolbar">
        <Choice
          label={word.order}
          options={ORDERS.map((value) => ({ value, text: word.orders[value] }))}
          value={errors.order}
          change={(value) => change({ order: value, after: null })}
        />
        <Share errors={errors} />
      </div>
      <FilterChips filter={filter} choose={choose} bound={bound} />
      {ignored.length > 0 && <p className="quiet">{word.ignored(ignored.map(text.name).join(", "))}</p>}
      {errors.problem ? <NoAnswer problem={errors.problem} again={errors.again} /> : <Answered errors={errors} />}
    </div>
  );
}

/** How many kinds there are, and how many of all calls failed. */
function Share({ errors: { page, calls, failed, share } }: { errors: Errors }) {
  const word = useWords(words);
  if (!page) return null;
  return (
    <p className="quiet">
      {word.groups(count(page.totalCount))}
      {share !== null && ` · ${word.ofCalls(count(failed), count(calls), percent(share))}`}
    </p>
  );
}

function Answered({ errors }: { errors: Errors }) {
  const word = useWords(words);
  const [parameters, change] = useAddress();
  const { period } = useRange();
  const { page, calls, waiting } = errors;
  const open = page?.nodes.find((group) => group.fingerprint === parameters.get("error"));
  if (!page) return <Waiting lines={8} />;
  if (page.nodes.length === 0) {
    return (
      <Empty title={calls === "0" ? word.noCalls : word.none}>
        <p>{calls === "0" ? word.noCallsWhy : word.noneWhy}</p>
      </Empty>
    );
  }
  return (
    <>
      {open && <GroupDetail group={open} filter={errors.errorFilter} close={() => change({ error: null })} />}
      <div aria-busy={waiting}>
        <GroupTable groups={page.nodes} calls={errors.share === null ? null : calls} period={period} open={open?.fingerprint ?? null} show={(error) => change({ error })} />
      </div>
      <div className="errors-toolbar">
        {parameters.has("after") && (
          <Button icon="left" onClick={() => change({ after: null })}>
            {word.first}
          </Button>
        )}
        {page.pageInfo.hasNextPage && (
          <Button icon="right" onClick={() => change({ after: page.pageInfo.endCursor ?? null })}>
            {word.next}
          </Button>
        )}
      </div>
    </>
  );
}
