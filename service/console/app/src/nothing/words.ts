import { catalogue } from "../language/catalogue";

export const words = catalogue(
  {
    noMatch: "No call matches",
    noMatchWhy: "Widen the time, or take filters back.",
    noData: "No call has been recorded yet",
    noDataWhy: "Report calls by POST to /v1/calls, or let LiteLLM's generic_api callback report to /v1/litellm.",
    outOfRetention: "This time is past what is kept",
    outOfRetentionWhy: "Calls are forgotten when their window ends, and nothing brings them back. Choose a later time.",
    lastWeek: "Last 7 days",
    clearFilters: "Clear the filters",
  },
  {
    noMatch: "没有匹配的调用",
    noMatchWhy: "请扩大时间范围，或移除部分筛选条件。",
    noData: "还没有记录任何调用",
    noDataWhy: "通过 POST /v1/calls 上报调用，或让 LiteLLM 的 generic_api 回调上报到 /v1/litellm。",
    outOfRetention: "此时间已超出保留期限",
    outOfRetentionWhy: "调用在保留期结束后即被遗忘，且无法恢复。请选择更晚的时间。",
    lastWeek: "最近 7 天",
    clearFilters: "清除筛选",
  },
);
