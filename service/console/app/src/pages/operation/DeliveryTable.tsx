import type { DeliveriesQuery } from "../../api/gql/graphql";
import { useAnswer } from "../../api/useAnswer";
import { useWords } from "../../language/useWords";
import { count, duration } from "../../numbers/figures";
import { Copied } from "../../parts/copying/Copied";
import { Empty } from "../../parts/Empty";
import { Moment } from "../../parts/Moment";
import { NoAnswer } from "../../parts/NoAnswer";
import { Pager, usePages } from "../../parts/Pager";
import { PlainTable } from "../../parts/PlainTable";
import { Said } from "../../parts/Said";
import { Waiting } from "../../parts/Waiting";
import { Deliveries } from "./documents";
import { words } from "./words";

type Delivery = NonNullable<DeliveriesQuery["webhookDeliveries"]>["nodes"][number];

const STATES: Readonly<Record<Delivery["state"], string>> = { PENDING: "badge badge-warn", DELIVERED: "badge badge-good", FAILED: "badge badge-bad" };

/** What was or is to be sent to a webhook, newest first, with what its receiver said last. */
export function DeliveryTable({ webhook, name }: { webhook: string; name: string }) {
  const word = useWords(words);
  const pages = usePages(webhook);
  const { data, problem, waiting, again } = useAnswer(Deliveries, { webhook, after: pages.after });
  const page = data?.webhookDeliveries;
  if (problem) return <NoAnswer problem={problem} again={again} />;
  if (!page) return <Waiting lines={4} />;
  if (page.nodes.length === 0) return <Empty title={word.noDeliveries} />;
  return (
    <div aria-busy={waiting}>
      <PlainTable
        caption={word.deliveriesTo(name)}
        rows={page.nodes}
        keyOf={({ id }) => id}
        columns={[
          { name: "id", title: word.id, cell: ({ id }) => <Copied text={id} shown={`${id.slice(0, 12)}…`} /> },
          { name: "event", title: word.event, cell: ({ event }) => <code>{event}</code> },
          { name: "state", title: word.state, cell: ({ state }) => <span className={STATES[state]}>{word.deliveryStates[state]}</span> },
          { name: "made", title: word.happened, cell: ({ createdAt }) => <Moment at={createdAt} /> },
          { name: "attempts", title: word.attempts, figures: true, cell: ({ attempts }) => count(attempts.length) },
          { name: "answer", title: word.lastAnswer, cell: ({ attempts }) => <LastAnswer attempt={attempts.at(-1)} /> },
          { name: "next", title: word.nextAttempt, cell: ({ nextAttemptAt }) => (nextAttemptAt ? <Moment at={nextAttemptAt} /> : "–") },
          { name: "ended", title: word.ended, cell: ({ endedAt }) => (endedAt ? <Moment at={endedAt} /> : "–") },
        ]}
      />
      <Pager pages={pages} pageInfo={page.pageInfo} />
    </div>
  );
}

function LastAnswer({ attempt }: { attempt: Delivery["attempts"][number] | undefined }) {
  if (attempt === undefined) return "–";
  const { status, failure, durationMs } = attempt;
  return (
    <>
      {failure != null ? <Said text={failure} /> : (status ?? "–")} {durationMs != null && <span className="quiet">{duration(durationMs)}</span>}
    </>
  );
}
