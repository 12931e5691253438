import { lazy } from "react";
import type { Page } from "../../shell/page";

export const page: Page = {
  path: "logs",
  title: { en: "Logs", "zh-CN": "日志" },
  icon: "list",
  key: "l",
  order: 10,
  roots: ["calls"],
  ranged: true,
  component: lazy(() => import("./LogsPage")),
};
