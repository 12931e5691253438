import { lazy } from "react";
import type { Page } from "../../shell/page";

export const page: Page = {
  path: "operation",
  title: { en: "Operation", "zh-CN": "运行" },
  icon: "pulse",
  key: "o",
  order: 70,
  roots: ["ingestReport"],
  ranged: true,
  component: lazy(() => import("./OperationPage")),
};
