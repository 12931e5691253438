import { lazy } from "react";
import type { Page } from "../../shell/page";

export const page: Page = {
  path: "exports",
  title: { en: "Exports", "zh-CN": "导出" },
  icon: "download",
  key: "x",
  order: 50,
  roots: ["createExport", "exports"],
  ranged: true,
  component: lazy(() => import("./ExportsPage")),
};
