import { useSession } from "../../session/SessionContext";
import { HealthFigures } from "./HealthFigures";
import "./operation.css";
import { RefusalTable } from "./RefusalTable";
import { WebhookTable } from "./WebhookTable";

/** Whether the service is well, what it refused, and who is told of what. */
export default function OperationPage() {
  const session = useSession();
  return (
    <div className="page-body">
      <HealthFigures />
      <RefusalTable />
      {session.mayAsk("webhooks") && <WebhookTable />}
    </div>
  );
}
