import { useState } from "react";
import type { ApiKeysQuery } from "../../api/gql/graphql";
import { useAnswer } from "../../api/useAnswer";
import { useWords } from "../../language/useWords";
import { count } from "../../numbers/figures";
import { Button } from "../../parts/controls/Button";
import { NoAnswer } from "../../parts/NoAnswer";
import { Pager, usePages } from "../../parts/Pager";
import { Waiting } from "../../parts/Waiting";
import { useSession } from "../../session/SessionContext";
import { ApiKeys } from "./documents";
import { EndKeyDialog } from "./EndKeyDialog";
import { KeyTable } from "./KeyTable";
import { MakeKeyDialog } from "./MakeKeyDialog";
import { ReplaceKeyDialog } from "./ReplaceKeyDialog";
import "./keys.css";
import { words } from "./words";

export type ApiKey = NonNullable<ApiKeysQuery["apiKeys"]>["nodes"][number];
type Doing = { readonly what: "make" } | { readonly what: "replace" | "end"; readonly key: ApiKey };

/** API keys, without their secrets: to make, replace and end them. */
export default function KeysPage() {
  const word = useWords(words);
  const session = useSession();
  const pages = usePages();
  const [doing, setDoing] = useState<Doing | null>(null);
  const { data, problem, again } = useAnswer(ApiKeys, { after: pages.after });
  const page = data?.apiKeys;
  const done = () => {
    setDoing(null);
    again();
  };
  return (
    <div className="page-body">
      <div className="keys-bar">
        {session.kind === "key" && session.mayAsk("createApiKey") && (
          <Button kind="primary" icon="plus" onClick={() => setDoing({ what: "make" })}>
            {word.make}
          </Button>
        )}
        {page && <p className="quiet">{word.all(count(page.totalCount))}</p>}
        {session.kind === "token" && <p className="quiet">{word.token}</p>}
      </div>
      {problem && <NoAnswer problem={problem} again={again} />}
      {!page && !problem && <Waiting lines={8} />}
      {page && (
        <KeyTable keys={page.nodes} doing={(what, key) => setDoing({ what, key })} />
      )}
      <Pager pages={pages} pageInfo={page?.pageInfo} />
      {doing && <KeyDialog doing={doing} close={done} />}
    </div>
  );
}

function KeyDialog({ doing, close }: { doing: Doing; close(): void }) {
  switch (doing.what) {
    case "make":
      return <MakeKeyDialog close={close} />;
    case "replace":
      return <ReplaceKeyDialog apiKey={doing.key} close={close} />;
    case "end":
      return <EndKeyDialog apiKey={doing.key} close={close} />;
  }
}
