import { Link } from "wouter";
import { linkTo } from "../../address/search";
import { graphql } from "../../api/gql";
import { useAnswer } from "../../api/useAnswer";
import { useWords } from "../../language/useWords";
import { compare, shareOf } from "../../numbers/decimal";
import { percent } from "../../numbers/figures";
import { Amount } from "../../parts/Amount";
import { PlainTable } from "../../parts/PlainTable";
import { ProblemNote } from "../../parts/ProblemNote";
import { words } from "./words";

const DailyBudgets = graphql(`
  query DailyBudgets {
    budgets {
      id
      account
      apiKey
      tag {
        key
        value
      }
      currency
      amount
      spent
      left
    }
  }
`);

/** When the day began that a budget is for: the same for everybody, whatever zone is shown. */
const today = () => `${new Date().toISOString().slice(0, 10)}T00:00:00.000Z`;

/** What is meant to be spent today (UTC), and how far it is. Nothing, where nobody has set a budget. */
export function Budgets() {
  const word = useWords(words);
  const { data, problem, again } = useAnswer(DailyBudgets, {});
  if (problem) return <ProblemNote problem={problem} again={again} />;
  const budgets = data?.budgets ?? [];
  if (budgets.length === 0) return null;
  return (
    <section className="panel">
      <PlainTable
        caption={word.budgets}
        columns={[
          {
            name: "of",
            title: word.budgetOf,
            cell: ({ account, apiKey, tag, currency }) => (
              <Link href={linkTo("logs", { from: today(), account: account ?? null, apiKey: apiKey ?? null, ...(tag && { [`tag.${tag.key}`]: tag.value }), currency })}>
                {[account, apiKey, tag && `${tag.key}=${tag.value}`].filter(Boolean).join(" · ")}
              </Link>
            ),
          },
          { name: "amount", title: word.budget, figures: true, cell: ({ amount, currency }) => <Amount amount={amount} currency={currency} /> },
          { name: "spent", title: word.spent, figures: true, cell: ({ spent, currency }) => <Amount amount={spent} currency={currency} /> },
          { name: "left", title: word.left, figures: true, cell: ({ left, currency }) => <Amount amount={left} currency={currency} /> },
          {
            name: "share",
            title: word.used,
            figures: true,
            cell: ({ spent, amount }) => {
              const share = shareOf(spent, amount);
              const over = compare(spent, amount) > 0;
              return <span className={over ? "badge badge-bad" : "badge"}>{over ? word.over : ""} {share === null ? "–" : percent(share)}</span>;
            },
          },
        ]}
        rows={budgets}
        keyOf={({ id }) => id}
      />
    </section>
  );
}
