import { lazy } from "react";
import type { Page } from "../../shell/page";

export const page: Page = {
  path: "errors",
  title: { en: "Errors", "zh-CN": "错误" },
  icon: "alert",
  key: "e",
  order: 30,
  roots: ["errorGroups"],
  ranged: true,
  component: lazy(() => import("./ErrorsPage")),
};
