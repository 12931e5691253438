import { useAddress } from "../../address/address";
import { ReconciliationTable } from "./ReconciliationTable";
import "./reconciliations.css";
import { ReportView } from "./ReportView";

/** What others bill beside what is recorded: the comparisons that were made, and what differs in one of them. */
export default function ReconciliationsPage() {
  const [parameters, change] = useAddress();
  const open = parameters.get("reconciliation");
  const show = (id: string | null) => change({ reconciliation: id, kind: null });
  return (
    <div className="page-body">
      {open !== null && (
        <ReportView key={open} id={open} kinds={parameters.getAll("kind")} choose={(kinds) => change({ kind: kinds }, { replace: true })} close={() => show(null)} />
      )}
      <ReconciliationTable open={open} show={show} />
    </div>
  );
}
