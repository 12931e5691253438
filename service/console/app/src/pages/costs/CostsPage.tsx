import type { ReactNode } from "react";
import { Link, useSearch } from "wouter";
import { useAddress } from "../../address/address";
import { changed, linkTo } from "../../address/search";
import { Allowed } from "../../filter/Allowed";
import { FilterBar } from "../../filter/FilterBar";
import { useFilter } from "../../filter/useFilter";
import { useWords } from "../../language/useWords";
import { count } from "../../numbers/figures";
import { NoAnswer } from "../../parts/NoAnswer";
import { ProblemNote } from "../../parts/ProblemNote";
import { Waiting } from "../../parts/Waiting";
import { useSession } from "../../session/SessionContext";
import { CrossedCosts } from "./across/CrossedCosts";
import { Budgets } from "./Budgets";
import "./costs.css";
import { WITHOUT } from "./groups/dimension";
import { EqualTokens } from "./groups/EqualTokens";
import { GroupTable } from "./groups/GroupTable";
import { NoCosts } from "./NoCosts";
import { Reconciled } from "./Reconciled";
import { Toolbar } from "./Toolbar";
import { Totals } from "./Totals";
import { TimelineChart } from "./timeline/TimelineChart";
import { type Costs, useCosts } from "./useCosts";
import { words } from "./words";

/** What calls cost: in all, over time beside the period before, by what they have in common, and by model at equal tokens. */
export default function CostsPage() {
  const session = useSession();
  if (session.view("CostRow.amount") === "DENIED") return <NoAnswer problem={{ code: "FORBIDDEN", message: "", requestId: null }} />;
  return (
    <Allowed>
      <OfFilter />
    </Allowed>
  );
}

function OfFilter() {
  const session = useSession();
  const [, change] = useAddress();
  const { filter, callFilter, clear } = useFilter();
  const costs = useCosts();
  const { groups } = costs.answers;
  return (
    <div className="page-body costs">
      <FilterBar />
      <Toolbar costs={costs} change={change} />
      <Answered costs={costs} none={(unpriced) => <NoCosts unpriced={unpriced} refusal={groups.problem} filter={filter} callFilter={callFilter} clear={clear} />} />
      {session.mayAsk("budgets") && <Budgets />}
      {session.mayAsk("reconciliations") && <Reconciled />}
    </div>
  );
}

function Answered({ costs, none }: { costs: Costs; none(unpriced: string): ReactNode }) {
  const word = useWords(words);
  const search = useSearch();
  const { totals, total, totalBefore, currency, models } = costs;
  const { groups, time } = costs.answers;
  const unpriced = totals?.find((one) => !one.amount)?.calls ?? "0";
  if (groups.problem?.code === "OUT_OF_RETENTION") return none("0");
  if (groups.problem) return <NoAnswer problem={groups.problem} again={groups.again} />;
  if (totals === null) return <Waiting lines={8} />;
  if (currency === null || total === null) return none(unpriced);
  return (
    <div className="costs-answer" aria-busy={groups.waiting || time.waiting}>
      <Totals now={total} before={totalBefore} currency={currency} />
      {unpriced !== "0" && (
        <p className="quiet">
          {word.unpriced(count(unpriced))} <Link href={linkTo("logs", changed(search, { ...WITHOUT, currency: "" }))}>{word.inLogs}</Link>
        </p>
      )}
      {time.problem ? <ProblemNote problem={time.problem} again={time.again} /> : <TimelineChart costs={costs} currency={currency} />}
      <GroupTable costs={costs} currency={currency} />
      <CrossedCosts costs={costs} currency={currency} />
      <EqualTokens models={models} currency={currency} />
    </div>
  );
}
