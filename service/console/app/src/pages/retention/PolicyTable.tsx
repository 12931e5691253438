import { useState } from "react";
import type { PolicyInForceQuery, View } from "../../api/gql/graphql";
import { useAnswer } from "../../api/useAnswer";
import { useWords } from "../../language/useWords";
import { Copied } from "../../parts/copying/Copied";
import { Empty } from "../../parts/Empty";
import { Moment } from "../../parts/Moment";
import { NoAnswer } from "../../parts/NoAnswer";
import { type PlainColumn, PlainTable } from "../../parts/PlainTable";
import { Waiting } from "../../parts/Waiting";
import { useSession } from "../../session/SessionContext";
import { words as shellWords } from "../../shell/words";
import { PolicyInForce } from "./documents";
import { useWordOf } from "./useWordOf";
import { words } from "./words";

type Field = NonNullable<PolicyInForceQuery["policy"]>["fields"][number];

const LOOKS: Readonly<Record<View, string>> = { SEE: "badge badge-good", MASKED: "badge badge-warn", DENIED: "badge" };

/** The policy in force, field by field: what it does, and what each role gets. */
export function PolicyTable() {
  const word = useWords(words);
  const role = useWords(shellWords).role;
  const text = useWordOf();
  const session = useSession();
  const [wanted, setWanted] = useState("");
  const { data, problem, again } = useAnswer(PolicyInForce, {});
  const policy = data?.policy;
  if (problem) return <NoAnswer problem={problem} again={again} />;
  if (!policy) return <Waiting lines={10} />;
  const fields = policy.fields.filter(({ field }) => field.toLowerCase().includes(wanted.toLowerCase()));
  const roles = policy.fields[0]?.views.map((one) => one.role) ?? [];
  return (
    <div className="retention-part">
      <div className="retention-bar">
        <h2>
          {policy.name} {policy.version}
        </h2>
        <Copied text={policy.digest} shown={policy.digest.slice(0, 19)} />
        <span className="quiet">
          {word.applied} <Moment at={policy.appliedAt} /> · {word.by} {policy.appliedBy}
          {policy.approvedBy && ` · ${word.approved} ${policy.approvedBy}`}
        </span>
      </div>
      <label className="retention-find">
        <span className="unseen">{word.find}</span>
        <input data-filter type="search" placeholder={word.find} value={wanted} onChange={(event) => setWanted(event.target.value)} />
      </label>
      {fields.length === 0 ? (
        <Empty title={word.noField} />
      ) : (
        <PlainTable
          caption={word.fields}
          rows={fields}
          keyOf={({ field }) => field}
          columns={[
            { name: "field", title: word.field, cell: ({ field }) => <code>{field}</code> },
            { name: "class", title: word.class, cell: (field) => text("dataClass", field.class) },
            { name: "action", title: word.action, cell: ({ action }) => text("actions", action) },
            { name: "store", title: word.store, cell: ({ store }) => text("stores", store) },
            ...roles.map((one): PlainColumn<Field> => ({
              name: one,
              title: one === session.role ? word.you(role[one]) : role[one],
              cell: ({ views }) => {
                const view = views.find((found) => found.role === one)?.view ?? "DENIED";
                return <span className={LOOKS[view]}>{text("views", view)}</span>;
              },
            })),
          ]}
        />
      )}
      <details>
        <summary>{word.document}</summary>
        <pre className="mono retention-document" tabIndex={0}>
          {policy.document}
        </pre>
      </details>
    </div>
  );
}
