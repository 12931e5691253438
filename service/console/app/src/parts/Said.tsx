/** Words of the service, which has them in English alone: read aloud and broken as such in any language. */
export function Said({ text }: { text: string }) {
  return <span lang="en">{text}</span>;
}
