import { second, useZone } from "../time/zone";

interface Props {
  at: string;
  text?: (moment: string, zone: string) => string;
}

/** A moment in the zone that was chosen; its title has it in UTC, whole. */
export function Moment({ at, text = second }: Props) {
  const zone = useZone();
  return (
    <time dateTime={at} title={at}>
      {text(at, zone)}
    </time>
  );
}
