import { expect, it } from "vitest";
import { type Difference, type Report, csvOf, fileName, jsonOf } from "../src/pages/reconciliations/file";

const one: Difference = { kind: "MISSING_HERE", day: "2026-11-01", model: "gpt-4o", currency: "USD", calls: 2, theirs: "0.500000000001", ours: "0", difference: "0.500000000001", callIds: ["call_a", "call_b"] };
const report = { name: "../acme bill: Nov.csv", firstDay: "2026-11-01", lastDay: "2026-11-30", differences: { nodes: [], totalCount: 1 } } as unknown as Report;

it("writes differences as lines, with all digits, and no formula", () => {
  expect(csvOf([one])).toBe("kind,day,model,currency,calls,theirs,ours,difference,callIds\r\nMISSING_HERE,2026-11-01,gpt-4o,USD,2,0.500000000001,0,0.500000000001,call_a call_b\r\n");
  const odd = csvOf([{ ...one, model: '=HYPERLINK("x")', difference: "-1", callIds: null }]).split("\r\n")[1];
  expect(odd).toBe(`MISSING_HERE,2026-11-01,"'=HYPERLINK(""x"")",USD,2,0.500000000001,0,-1,`);
});

it("writes the comparison with every difference, and not with a page of them", () => {
  const { differences, name } = JSON.parse(jsonOf(report, [one, one])) as { differences: unknown; name: string };
  expect([name, differences]).toEqual([report.name, [one, one]]);
});

it("names the file by what every file system has", () => {
  expect(fileName(report, "csv")).toBe("reconciliation-acme-bill-Nov.csv-2026-11-01-2026-11-30.csv");
  expect(fileName({ ...report, name: "///" }, "json")).toBe("reconciliation-report-2026-11-01-2026-11-30.json");
});
