import { catalogue } from "../language/catalogue";

const ENGLISH = { m: ["minute", "minutes"], h: ["hour", "hours"], d: ["day", "days"] } as const;
const CHINESE = { m: "分钟", h: "小时", d: "天" } as const;
const ENGLISH_DAYS: Readonly<Partial<Record<string, string>>> = { today: "Today", yesterday: "Yesterday", month: "This month", "last-month": "Last month" };
const CHINESE_DAYS: Readonly<Partial<Record<string, string>>> = { today: "今天", yesterday: "昨天", month: "本月", "last-month": "上月" };

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
    /** Of a range as the address has it. */
    named: (range: string) => {
      const [number, unit] = parts(range);
      const [one, many] = ENGLISH[unit] ?? ENGLISH.h;
      return ENGLISH_DAYS[range] ?? (number === 1 ? `Last ${one}` : `Last ${number} ${many}`);
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
    named: (range: string) => {
      const [number, unit] = parts(range);
      return CHINESE_DAYS[range] ?? `最近 ${number} ${CHINESE[unit] ?? CHINESE.h}`;
    },
  },
);
