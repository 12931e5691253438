import { lazy } from "react";
import type { Page } from "../../shell/page";

export const page: Page = {
  path: "costs",
  title: { en: "Costs", "zh-CN": "费用" },
  icon: "coins",
  key: "c",
  order: 20,
  roots: ["costs"],
  ranged: true,
  component: lazy(() => import("./CostsPage")),
};
