import { lazy } from "react";
import type { Page } from "../../shell/page";

export const page: Page = {
  path: "keys",
  title: { en: "Keys", "zh-CN": "密钥" },
  icon: "key",
  key: "k",
  order: 60,
  roots: ["apiKeys"],
  ranged: false,
  component: lazy(() => import("./KeysPage")),
};
