import { useState } from "react";
import { useAnswer } from "../../api/useAnswer";
import { useWords } from "../../language/useWords";
import { Button } from "../../parts/controls/Button";
import { Moment } from "../../parts/Moment";
import { NoAnswer } from "../../parts/NoAnswer";
import { type PlainColumn, PlainTable } from "../../parts/PlainTable";
import { Said } from "../../parts/Said";
import { useSession } from "../../session/SessionContext";
import { DeliveryTable } from "./DeliveryTable";
import { Receivers } from "./documents";
import { words } from "./words";

/** Who is sent events, and whether they take them. */
export function WebhookTable() {
  const word = useWords(words);
  const { data, problem, again } = useAnswer(Receivers, {});
  const [opened, setOpened] = useState<string | null>(null);
  const session = useSession();
  const hooks = data?.webhooks?.nodes ?? [];
  const open = hooks.find(({ id }) => id === opened);
  const deliveries: PlainColumn<(typeof hooks)[number]> = {
    name: "deliveries",
    title: <span className="unseen">{word.deliveries}</span>,
    cell: ({ id, name, url }) => (
      <Button aria-expanded={id === opened} aria-label={word.deliveriesTo(name ?? url)} onClick={() => setOpened(id === opened ? null : id)}>
        {word.deliveries}
      </Button>
    ),
  };
  if (problem) return <NoAnswer problem={problem} again={again} />;
  if (hooks.length === 0) return null;
  return (
    <section className="panel">
      <PlainTable
        caption={word.webhooks}
        rows={hooks}
        keyOf={({ id }) => id}
        columns={[
          { name: "name", title: word.name, cell: ({ name }) => name ?? "–" },
          { name: "url", title: word.address, cell: ({ url }) => <code>{url}</code> },
          { name: "events", title: word.events, cell: ({ events }) => events.map((event) => <code key={event}>{event} </code>) },
          {
            name: "state",
            title: word.state,
            cell: ({ disabledAt, failure }) => (
              <span className={disabledAt ? "badge badge-bad" : failure ? "badge badge-warn" : "badge badge-good"}>{disabledAt ? word.disabled : failure ? word.failing : word.good}</span>
            ),
          },
          { name: "failure", title: word.failure, cell: ({ failure }) => (failure == null ? "–" : <Said text={failure} />) },
          { name: "made", title: word.made, cell: ({ createdAt }) => <Moment at={createdAt} /> },
          ...(session.mayAsk("webhookDeliveries") ? [deliveries] : []),
        ]}
      />
      {open && <DeliveryTable key={open.id} webhook={open.id} name={open.name ?? open.url} />}
    </section>
  );
}
