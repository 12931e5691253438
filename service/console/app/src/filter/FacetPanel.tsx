import { useWords } from "../language/useWords";
import { Button } from "../parts/controls/Button";
import { ProblemNote } from "../parts/ProblemNote";
import { useSession } from "../session/SessionContext";
import { FacetMenu } from "./FacetMenu";
import { BoundsMenu } from "./BoundsMenu";
import { type Filter, isEmpty } from "./filter";
import type { Menus } from "./useFacets";
import { words } from "./words";

interface Props {
  menus: Menus;
  /** The code of a problem that the page tells already, as it tells what is out of retention. */
  said: string | undefined;
  filter: Filter;
  choose(name: string, value: string, how: "is" | "not" | null): void;
  bound(name: string, min: string | null, max: string | null): void;
  clear(): void;
  /** Where it lies over the page. */
  close(): void;
}

/** All that calls can be filtered by, with how many calls each value has. */
export function FacetPanel({ menus, said, filter, choose, bound, clear, close }: Props) {
  const word = useWords(words);
  const session = useSession();
  const tagsOpen = menus.open.has("tags");
  const plain = menus.menus.filter((menu) => !menu.name.startsWith("tag."));
  const tags = menus.menus.filter((menu) => menu.name.startsWith("tag."));
  const choiceOf = (name: string) =>
    name.startsWith("tag.") ? filter.tags[name.slice(4)] : filter.choices[name as keyof Filter["choices"]];

  return (
    <section className="facets" aria-label={word.filters} aria-busy={menus.waiting}>
      <header className="facets-head">
        <h2>{word.filters}</h2>
        {!isEmpty(filter) && (
          <Button kind="quiet" onClick={clear}>
            {word.clear}
          </Button>
        )}
        <span className="facets-close">
          <Button kind="quiet" icon="close" aria-label={word.close} onClick={close} />
        </span>
      </header>
      {menus.problem && menus.problem.code !== "OUT_OF_RETENTION" && menus.problem.code !== said && <ProblemNote problem={menus.problem} again={menus.again} />}
      {plain.map((menu) => (
        <FacetMenu
          key={menu.name}
          menu={menu}
          failed={menus.problem !== null}
          open={menus.open.has(menu.name)}
          toggle={() => menus.toggle(menu.name)}
          choice={choiceOf(menu.name)}
          choose={choose}
        />
      ))}
      <BoundsMenu bounds={filter.bounds} bound={bound} open={menus.open.has("bounds")} toggle={() => menus.toggle("bounds")} />
      {session.mayFilter("Call.tags") && session.mayAsk("facets") && (
        <div className="facet">
          <h3>
            <button type="button" className="facet-title" aria-expanded={tagsOpen} onClick={() => menus.toggle("tags")}>
              {word.tags}
            </button>
          </h3>
          {tagsOpen && !menus.waiting && tags.length === 0 && <p className="quiet facet-none">{word.noTags}</p>}
          {tagsOpen &&
            tags.map((menu) => (
              <FacetMenu
                key={menu.name}
                menu={menu}
                failed={menus.problem !== null}
                open
                toggle={() => menus.toggle("tags")}
                choice={choiceOf(menu.name)}
                choose={choose}
              />
            ))}
        </div>
      )}
    </section>
  );
}
