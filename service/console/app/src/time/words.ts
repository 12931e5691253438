import { catalogue } from "../language/catalogue";

const ENGLISH = { m: ["minute", "minutes"], h: ["hour", "hours"], d: ["day", "days"] } as const;
const CHINESE = { m: "分钟", h: "小时", d: "天" } as const;

/** `4h`, apart. */
function parts(last: string): [number, "m" | "h" | "d"] {
  return [Number.parseInt(last, 10), last.slice(-1) as "m" | "h" | "d"];
}

export const words = catalogue(
  {
    time: "Time",
    zone: "Time zone",
    local: "Local",
    refresh: "Refresh",
    now: "now",
    other: "Another length (15m, 36h, 14d)",
    from: "From",
    to: "To",
    apply: "Apply",
    wrong: "The end has to be later than the beginning.",
    last: (last: string) => {
      const [number, unit] = parts(last);
      const [one, many] = ENGLISH[unit] ?? ENGLISH.h;
      return number === 1 ? `Last ${one}` : `Last ${number} ${many}`;
    },
  },
  {
    time: "时间",
    zone: "时区",
    local: "本地",
    refresh: "刷新",
    now: "现在",
    other: "其他长度（15m、36h、14d）",
    from: "从",
    to: "到",
    apply: "应用",
    wrong: "结束时间必须晚于开始时间。",
    last: (last: string) => {
      const [number, unit] = parts(last);
      return `最近 ${number} ${CHINESE[unit] ?? CHINESE.h}`;
    },
  },
);
