import { lazy } from "react";
import type { Page } from "../../shell/page";

export const page: Page = {
  path: "reconciliations",
  title: { en: "Reconciliations", "zh-CN": "对账" },
  icon: "scales",
  key: "b",
  order: 25,
  roots: ["reconciliations"],
  ranged: false,
  component: lazy(() => import("./ReconciliationsPage")),
};
