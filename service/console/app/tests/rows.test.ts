import { describe, expect, it, vi } from "vitest";
import { FIRST_PAGE, type LoadedPage, PAGE, Rows } from "../src/pages/logs/list/rows";

/** A list of `total` numbers, and which pages were asked for. */
function list(total: number) {
  const asked: (string | null)[] = [];
  const load = async (after: string | null, first: number): Promise<LoadedPage<number>> => {
    asked.push(after);
    const start = after === null ? 0 : Number(after);
    const rows = Array.from({ length: Math.min(first, total - start) }, (_, index) => start + index);
    return { rows, endCursor: rows.length > 0 ? String(start + rows.length) : null, hasNextPage: start + rows.length < total };
  };
  return { rows: new Rows(load), asked };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

describe("rows of a long list", () => {
  it("come page by page, each once, in order", async () => {
    const { rows, asked } = list(1000);
    rows.need(0, 30);
    rows.need(0, 30);
    await settled();
    expect([rows.length, rows.more, asked]).toEqual([FIRST_PAGE, true, [null]]);
    rows.need(0, 30);
    await settled();
    expect(asked, "nothing more before somebody scrolls").toEqual([null]);
    rows.need(3, 33);
    await settled();
    expect([rows.length, asked.length]).toEqual([FIRST_PAGE + PAGE, 2]);
    while (rows.more) {
      rows.need(rows.length - 30, rows.length - 1);
      await settled();
    }
    expect(rows.length).toBe(1000);
    expect(Array.from({ length: 1000 }, (_, index) => rows.row(index))).toEqual(Array.from({ length: 1000 }, (_, index) => index));
    expect(new Set(asked).size).toBe(asked.length);
  });

  it("are forgotten far away, and loaded again by their cursor", async () => {
    const { rows, asked } = list(100 * PAGE);
    while (rows.more) {
      rows.need(rows.length - 30, Math.max(0, rows.length - 1));
      await settled();
    }
    expect(rows.row(0)).toBeUndefined();
    expect(rows.row(rows.length - 1)).toBe(100 * PAGE - 1);
    expect(rows.indexOf((row) => row === 5)).toBe(-1);
    rows.need(0, 30);
    await settled();
    expect(rows.row(5)).toBe(5);
    expect(asked.filter((after) => after === null)).toHaveLength(2);
  });

  it("stop at an error, and go on when they are told to", async () => {
    let broken = true;
    const rows = new Rows<number>(async () =>
      broken ? { code: "TIMEOUT", message: "too slow", requestId: "r1" } : { rows: [1], endCursor: "1", hasNextPage: false },
    );
    rows.need(0, 10);
    await settled();
    expect(rows.problem?.requestId).toBe("r1");
    rows.need(0, 10);
    await settled();
    expect(rows.length).toBe(0);
    broken = false;
    rows.again();
    await settled();
    expect([rows.row(0), rows.problem, rows.more]).toEqual([1, null, false]);
  });

  it("wait when too much was asked, and ask once after that", async () => {
    vi.useFakeTimers();
    let asked = 0;
    const rows = new Rows<number>(async (after) => {
      asked++;
      if (asked === 2) return { code: "THROTTLED", message: "", requestId: null };
      return { rows: Array.from({ length: 10 }, (_, index) => Number(after ?? 0) + index), endCursor: String(asked), hasNextPage: true };
    });
    rows.need(0, 10);
    await vi.advanceTimersByTimeAsync(0);
    for (let look = 0; look < 50; look++) {
      rows.need(0, 10);
      await vi.advanceTimersByTimeAsync(10);
    }
    expect([asked, rows.length, rows.problem]).toEqual([2, 10, null]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect([asked, rows.length]).toEqual([3, 20]);
    vi.useRealTimers();
  });

  it("say nothing any more once they have ended", async () => {
    const { rows } = list(10);
    let told = 0;
    rows.subscribe(() => told++);
    rows.need(0, 5);
    rows.end();
    await settled();
    expect([told, rows.length]).toEqual([0, 0]);
  });
});
