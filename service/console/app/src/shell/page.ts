/** What the console needs to know of a page. Each folder of `pages` has one, in `entry.ts`. */

import type { ComponentType, LazyExoticComponent } from "react";
import type { IconName } from "../parts/Icon";

export interface Page {
  /** The segment of its address: `logs`. */
  readonly path: string;
  /** Its title in the navigation, in each language. */
  readonly title: { readonly [language in "en" | "zh-CN"]: string };
  readonly icon: IconName;
  /** `g`, then this key goes there. */
  readonly key: string;
  /** Its place in the navigation. */
  readonly order: number;
  /** It is shown to who may ask any of these root fields. */
  readonly roots: readonly string[];
  /** Whether it is about a time that is chosen above it. */
  readonly ranged: boolean;
  readonly component: LazyExoticComponent<ComponentType>;
}

