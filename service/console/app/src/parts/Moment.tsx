import { second, useZone, zoneName } from "../time/zone";

/** A moment in the zone that was chosen; its title has it in UTC, whole. */
export function Moment({ at, text = second }: { at: string; text?: (moment: string, zone: string) => string }) {
  const zone = useZone();
  return (
    <time dateTime={at} title={`${at} (${zoneName(zone, at)})`}>
      {text(at, zone)}
    </time>
  );
}
