import { useState } from "react";
import { useWords } from "../language/useWords";
import { Button } from "../parts/controls/Button";
import { Choice } from "../parts/controls/Choice";
import { Popover } from "../parts/controls/Popover";
import { usePreference } from "../preferences/preferences";
import { CALENDAR, RELATIVE, lengthOf, parametersOf, rangeOf } from "./range";
import { useRange } from "./RangeContext";
import "./time.css";
import { words } from "./words";
import { fromClock, minute, day, toClock, useZone, zoneName } from "./zone";

/** In which zone moments are shown, the time of a page that is about one, and a refresh. */
export function RangeControl({ ranged }: { ranged: boolean }) {
  const word = useWords(words);
  const { refresh } = useRange();
  return (
    <div className="range">
      <ZoneChoice />
      {ranged && <RangeChoice />}
      <Button icon="refresh" aria-label={word.refresh} onClick={refresh} />
    </div>
  );
}

/** The time: the last minutes, hours or days, or between two moments. */
export function RangeChoice({ side = "end" }: { side?: "start" | "end" }) {
  const word = useWords(words);
  const zone = useZone();
  const { range } = useRange();
  const text =
    range.kind !== "absolute"
      ? word.named(parametersOf(range).range ?? "")
      : `${day(range.from, zone)} ${minute(range.from, zone)} – ${range.to === null ? word.now : `${day(range.to, zone)} ${minute(range.to, zone)}`}`;
  return (
    <Popover label={word.time} icon="clock" side={side} text={<span className="range-text">{text}</span>}>
      {(close) => <RangePanel close={close} />}
    </Popover>
  );
}

function ZoneChoice() {
  const word = useWords(words);
  const zone = useZone();
  const [, change] = usePreference("zone");
  return (
    <Choice<"utc" | "local">
      label={word.zone}
      options={[
        { value: "utc", text: "UTC" },
        { value: "local", text: word.local },
      ]}
      value={zone === "UTC" ? "utc" : "local"}
      change={change}
    />
  );
}

function RangePanel({ close }: { close(): void }) {
  const word = useWords(words);
  const zone = useZone();
  const { range, period, change } = useRange();
  const [from, setFrom] = useState(() => toClock(period.from, zone));
  const [to, setTo] = useState(() => toClock(period.to, zone));
  const [last, setLast] = useState("");
  const start = fromClock(from, zone);
  const end = fromClock(to, zone);
  const wrong = start === null || end === null || start >= end;
  const chosen = parametersOf(range).range;

  return (
    <div className="range-panel">
      <ul className="range-named">
        {[...RELATIVE, ...CALENDAR].map((one) => (
          <li key={one}>
            <button
              type="button"
              className="menu-item"
              aria-pressed={one === chosen}
              onClick={() => {
                change(rangeOf(new URLSearchParams({ range: one })));
                close();
              }}
            >
              {word.named(one)}
            </button>
          </li>
        ))}
      </ul>
      <div className="range-forms">
        <form
          onSubmit={(event) => {
            event.preventDefault();
            change({ kind: "relative", last });
            close();
          }}
        >
          <label>
            {word.other}
            <input placeholder="36h" pattern="[1-9][0-9]{0,5}[mhd]" value={last} onChange={(event) => setLast(event.target.value)} />
          </label>
          <Button type="submit" disabled={lengthOf(last) === null}>
            {word.apply}
          </Button>
        </form>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (wrong) return;
            change({ kind: "absolute", from: start, to: end });
            close();
          }}
        >
          <label>
            {word.from}
            <input type="datetime-local" value={from} onChange={(event) => setFrom(event.target.value)} />
          </label>
          <label>
            {word.to}
            <input type="datetime-local" value={to} onChange={(event) => setTo(event.target.value)} />
          </label>
          <p className="quiet">{zoneName(zone, period.to)}</p>
          {wrong && <p role="alert">{word.wrong}</p>}
          <Button kind="primary" type="submit" disabled={wrong}>
            {word.apply}
          </Button>
        </form>
      </div>
    </div>
  );
}
