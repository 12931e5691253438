import { second, useZone } from "../time/zone";

interface Props {
  at: string;
  text?: (moment: string, zone: string) => string;
}

/** A moment in the zone that was chosen; its title has it in UTC, whole. */
export function Moment({ at, text }: Props) {
  return <MomentIn at={at} zone={useZone()} {...(text && { text })} />;
}

/** The same with the zone given, for what is drawn often. */
export function MomentIn({ at, zone, text = second }: Props & { zone: string }) {
  return (
    <time dateTime={at} title={at}>
      {text(at, zone)}
    </time>
  );
}
