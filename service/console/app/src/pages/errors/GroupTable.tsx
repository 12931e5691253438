import type { GroupsOfErrorsQuery } from "../../api/gql/graphql";
import { useWords } from "../../language/useWords";
import { shareOf } from "../../numbers/decimal";
import { count, percent } from "../../numbers/figures";
import { Moment } from "../../parts/Moment";
import { PlainTable } from "../../parts/PlainTable";
import type { Period } from "../../time/range";
import { withinTheYear } from "../../time/zone";
import { Trend } from "./Trend";
import { words } from "./words";

export type ErrorGroup = NonNullable<GroupsOfErrorsQuery["errorGroups"]>["nodes"][number];

interface Props {
  groups: readonly ErrorGroup[];
  /** All calls of the time; null: not known. */
  calls: string | null;
  period: Period;
  open: string | null;
  show(fingerprint: string | null): void;
}

/** One row for each kind of error; its name opens it. */
export function GroupTable({ groups, calls, period, open, show }: Props) {
  const word = useWords(words);
  const share = (errors: string) => (calls === null ? null : shareOf(errors, calls));
  return (
    <PlainTable
      caption={word.kinds}
      rows={groups}
      keyOf={({ fingerprint }) => fingerprint}
      columns={[
        {
          name: "type", wide: true,
          title: word.kind,
          cell: ({ fingerprint, type, sampleMessage }) => (
            <span className="error-kind">
              <button type="button" className="linkish" data-error={fingerprint} title={type} aria-expanded={open === fingerprint} onClick={() => show(open === fingerprint ? null : fingerprint)}>
                {type}
              </button>
              {sampleMessage != null && <span className="error-sample" title={sampleMessage}>{sampleMessage}</span>}
            </span>
          ),
        },
        { name: "trend", title: word.trend, cell: ({ buckets }) => <Trend buckets={buckets ?? []} period={period} /> },
        { name: "count", title: word.count, figures: true, cell: (group) => count(group.count) },
        {
          name: "share",
          title: word.share,
          figures: true,
          cell: (group) => {
            const part = share(group.count);
            return part === null ? "–" : percent(part);
          },
        },
        { name: "models", title: word.models, cell: ({ models }) => <span title={models.join(", ")}>{models.length > 2 ? `${models.slice(0, 2).join(", ")} +${models.length - 2}` : models.join(", ")}</span> },
        { name: "first", title: word.firstSeen, cell: ({ firstSeen }) => <Moment text={withinTheYear} at={firstSeen} /> },
        { name: "last", title: word.lastSeen, cell: ({ lastSeen }) => <Moment text={withinTheYear} at={lastSeen} /> },
      ]}
    />
  );
}
