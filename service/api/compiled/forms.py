"""What is remembered of an operation: what it asks of a role, and how values of a form of variables are filled in."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from policies.policy.model import Policy, View
from service.api.compiled.fallbacks import FallbackError
from service.api.compiled.plan import Root
from service.api.compiled.template import Template
from service.api.execution.context import Priced

FORMS_MAX: Final = 1024
"""Forms of variables of all documents together; few documents have more than two."""
Roots = list[tuple[str, Root | None]]
"""Root fields by response key; None: `__typename`."""


@dataclass(slots=True, eq=False)
class Variant:
    """An operation for one policy and role and one set of values of the variables that its directives name.

    Holds policy and views, so that their identity stays theirs. `roots` None: not to be compiled, or not covered, which
    `fallback` says.
    """

    policy: Policy
    views: Mapping[str, View]
    roots: Roots | None
    fallback: FallbackError | None = None
    admitted: OrderedDict[Hashable, Priced] = field(default_factory=OrderedDict[Hashable, Priced])


@dataclass(slots=True, eq=False)
class Filled:
    """A variant for one form of the variables: their values are filled into the templates, one a root.

    `sized`: how large a page is, and so what it costs, is said by a variable.
    """

    variant: Variant
    roots: Roots
    templates: Sequence[Template | None]
    sized: bool
    admitted: OrderedDict[Hashable, Priced] = field(default_factory=OrderedDict[Hashable, Priced])


class Forms:
    """What was worked out for forms of variables, the least recently used forgotten first. None: nothing can be."""

    def __init__(self) -> None:
        self._found: OrderedDict[Hashable, Filled | None] = OrderedDict()

    def get(self, key: Hashable) -> Filled | None:
        """What was kept for the form, if any."""
        found = self._found.get(key)
        if found is not None:
            self._found.move_to_end(key)
        return found

    def put(self, key: Hashable, make: Callable[[], Filled | None]) -> None:
        """Keep what is made for a form that is new."""
        if key not in self._found:
            self._found[key] = make()
            while len(self._found) > FORMS_MAX:
                self._found.popitem(last=False)
