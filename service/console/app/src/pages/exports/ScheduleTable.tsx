import type { ExportsQuery } from "../../api/gql/graphql";
import { useWords } from "../../language/useWords";
import { Button } from "../../parts/controls/Button";
import { Moment } from "../../parts/Moment";
import { PlainTable } from "../../parts/PlainTable";
import { Said } from "../../parts/Said";
import { words } from "./words";

interface Props {
  rows: NonNullable<ExportsQuery["exportSchedules"]>["nodes"];
  drop(id: string): void;
}

/** Exports that are asked for again by themselves. */
export function ScheduleTable({ rows, drop }: Props) {
  const word = useWords(words);
  const kinds: Readonly<Record<string, string>> = word.kinds;
  return (
    <PlainTable
      caption={word.schedules}
      rows={rows}
      keyOf={({ id }) => id}
      columns={[
        { name: "kind", title: word.kind, cell: ({ kind }) => kinds[kind] ?? kind },
        { name: "format", title: word.format, cell: ({ format }) => format ?? "–" },
        { name: "every", title: word.rhythm, cell: ({ every }) => word.rhythms[every] },
        { name: "zone", title: word.zone, cell: ({ timeZone }) => timeZone },
        { name: "due", title: word.due, cell: ({ dueAt }) => (dueAt ? <Moment at={dueAt} /> : "–") },
        { name: "failure", title: word.failure, cell: ({ failure }) => (failure == null ? "–" : <Said text={failure} />) },
        {
          name: "do",
          title: <span className="unseen">{word.actions}</span>,
          cell: ({ id }) => (
            <Button kind="quiet" onClick={() => drop(id)}>
              {word.stop}
            </Button>
          ),
        },
      ]}
    />
  );
}
