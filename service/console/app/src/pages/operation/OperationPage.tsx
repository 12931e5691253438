import { useSession } from "../../session/SessionContext";
import { HealthFigures } from "./HealthFigures";
import "./operation.css";
import { RefusalTable } from "./RefusalTable";
import { SourceTable } from "./SourceTable";
import { WebhookTable } from "./WebhookTable";

/** Whether the service is well, how far gateways were read, what was refused, and who is sent what. */
export default function OperationPage() {
  const session = useSession();
  return (
    <div className="page-body">
      <HealthFigures />
      {session.mayAsk("sources") && <SourceTable />}
      <RefusalTable />
      {session.mayAsk("webhooks") && <WebhookTable />}
    </div>
  );
}
