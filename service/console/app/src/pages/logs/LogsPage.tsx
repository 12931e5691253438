import { graphql } from "../../api/gql";
import { useAnswer } from "../../api/useAnswer";
import { Amount } from "../../parts/Amount";
import { Moment } from "../../parts/Moment";
import { PlainTable } from "../../parts/PlainTable";
import { ProblemNote } from "../../parts/ProblemNote";
import { Waiting } from "../../parts/Waiting";
import { useRange } from "../../time/RangeContext";

const Page = graphql(`
  query Page($filter: CallFilter, $first: Int, $after: String) {
    calls(filter: $filter, first: $first, after: $after) {
      nodes {
        id
        startedAt
        model
        amount {
          amount
          currency
        }
      }
    }
  }
`);

/** Calls, newest first. */
export default function LogsPage() {
  const { period } = useRange();
  const { data, problem, again } = useAnswer(Page, { filter: { startedAt: { gte: period.from, lt: period.to } }, first: 50 });
  if (problem) return <ProblemNote problem={problem} again={again} />;
  if (!data?.calls) return <Waiting />;
  return (
    <div className="page-body">
      <PlainTable
        caption=""
        rows={data.calls.nodes}
        keyOf={(call) => call.id}
        columns={[
          { name: "at", title: "", cell: (call) => <Moment at={call.startedAt} /> },
          { name: "model", title: "", cell: (call) => call.model },
          { name: "amount", title: "", figures: true, cell: (call) => call.amount && <Amount {...call.amount} digits={6} /> },
        ]}
      />
    </div>
  );
}
