import { describe, expect, it } from "vitest";
import { compare, difference, exact, grouped, readable, sum } from "../src/numbers/decimal";

describe("amounts", () => {
  it("are added without a float", () => {
    expect(sum(["0.1", "0.2"])).toBe("0.3");
    expect(sum(["9007199254740993.000000000000000001", "1"])).toBe("9007199254740994.000000000000000001");
    expect(sum([])).toBe("0");
    expect(difference("0.3", "0.1")).toBe("0.2");
    expect(compare("10", "9.99")).toBe(1);
    expect(["1234567.25", "-1000", "999", "0.0001234"].map(grouped)).toEqual(["1,234,567.25", "-1,000", "999", "0.0001234"]);
  });

  it.each([
    ["1234567.891", 2, "1,234,567.89"],
    ["0", 2, "0.00"],
    ["0.000478", 2, "0.00048"],
    ["0.000478", 6, "0.000478"],
    ["0.0075", 6, "0.007500"],
    ["-12.5", 2, "−12.50"],
    ["0.000000000000123", 2, "0.00000000000012"],
    ["999.999", 2, "1,000.00"],
  ])("%s is read with %i digits as %s", (decimal, digits, text) => {
    expect(readable(decimal, digits)).toBe(text);
  });

  it("keep all digits where they are asked for", () => {
    expect(exact("0.000000123456789012")).toBe("0.000000123456789012");
    expect(exact("1E-7")).toBe("0.0000001");
  });
});
