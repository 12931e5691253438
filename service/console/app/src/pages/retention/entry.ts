import { lazy } from "react";
import type { Page } from "../../shell/page";

export const page: Page = {
  path: "retention",
  title: { en: "Retention", "zh-CN": "保留" },
  icon: "shield",
  key: "t",
  order: 40,
  roots: ["retention", "ledger", "policy"],
  ranged: false,
  component: lazy(() => import("./RetentionPage")),
};
