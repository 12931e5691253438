import { useState } from "react";
import { FilterBox } from "./FilterBox";
import { FilterChips } from "./FilterChips";
import "./filter.css";
import { useFacets } from "./useFacets";
import { useFilter } from "./useFilter";

/** The filter of a page that has no menus at its side: the box, and what was chosen. Values are asked for once somebody
 * comes to the box. */
export function FilterBar() {
  const { filter, callFilter, choose, bound } = useFilter();
  const [wanted, setWanted] = useState(false);
  const { menus } = useFacets(callFilter, wanted);
  return (
    <div className="filter-bar" onFocus={() => setWanted(true)}>
      <FilterBox menus={menus} choose={choose} />
      <FilterChips filter={filter} choose={choose} bound={bound} />
    </div>
  );
}
