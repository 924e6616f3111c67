# SPDX-License-Identifier: Apache-2.0
"""Which column of a source is which dimension: by its name, its form and its codes.

A name alone is believed only where the form fits, and codes alone only where no other
dimension has them as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from accord.agent.drafting.draft import Entry
from accord.agent.drafting.looking import WHOLE_DAYS, Look, Sighting
from accord.agent.drafting.placing import OTHER, Placed, Placer
from accord.agent.drafting.words import (
    Name,
    Words,
    alike,
    column_names,
    name_of,
)
from accord.agent.intake.mapping import NONE, fold
from accord.core.dimension import UNKNOWN, Dimension
from accord.core.model import DataModel

NAMED = 0.8
"""How alike a column's name must be to one of a dimension."""

_CERTAIN = 0.95
_PLACED = 0.5
"""Share of the codes of a column with the right name that must have a place."""
_PLACED_ALONE = 0.8
"""The same without the right name."""
_A_DATE = 0.98
_SOME = 0.01
_A_NUMBER = 0.95
_MAYBE = 0.55

_AMBIGUOUS = (("%d/%m/%Y", "%m/%d/%Y"), ("%d-%m-%Y", "%m-%d-%Y"))


@dataclasses.dataclass(slots=True)
class Matching:
    """Takes columns one after the other; what is taken is not taken again."""

    seen: Sighting
    model: DataModel
    words: Words
    entries: dict[str, Entry]
    """What is known already, and what is found."""
    reserved: frozenset[str] = frozenset()
    """Columns that are no dimension."""
    quantities: dict[str, tuple[str, bool]] = dataclasses.field(default_factory=dict)
    maybe: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    _placers: dict[str, Placer] = dataclasses.field(default_factory=dict)
    _values: dict[tuple[str, str | None], tuple[str, ...] | None] = dataclasses.field(
        default_factory=dict
    )

    def run(self, birth_date: str | None) -> None:
        """Match all columns.

        Args:
            birth_date: column that holds one.
        """
        self._complete_known()
        self._by_name()
        self._only_date(birth_date)
        self._birth_date(birth_date)
        self._flags()
        self._quantities()
        self._by_codes()
        self._leftovers(birth_date)

    @property
    def _free(self) -> list[Look]:
        taken = {name for entry in self.entries.values() for name in entry.reads}
        taken |= {column for column, _ in self.quantities.values()} | self.reserved
        return [look for look in self.seen.looks.values() if look.name not in taken]

    def _placer(self, dimension: str) -> Placer:
        if dimension not in self._placers:
            found = self.model.dimensions[dimension]
            self._placers[dimension] = Placer(found, self.words)
        return self._placers[dimension]

    def _codes(self, column: str, separator: str | None) -> tuple[str, ...] | None:
        key = column, separator
        if key not in self._values:
            self._values[key] = self.seen.values(column, separator)
        return self._values[key]

    def _complete_known(self) -> None:
        """Add the codes that the source has and a profile has not."""
        for dimension, entry in self.entries.items():
            if not entry.codes or entry.column not in self.seen.looks:
                continue
            known = {fold(code) for code in entry.codes}
            codes = self._codes(entry.column, entry.separator) or ()
            for code in codes:
                if fold(code) not in known:
                    self._put(entry, dimension, code)
            if self.seen.looks[entry.column].is_free(len(codes)):
                entry.leave_untold()

    def _put(self, entry: Entry, dimension: str, code: str) -> None:
        placer = self._placer(dimension)
        entry.codes[code] = placer.place(code)
        if not entry.codes[code]:
            entry.nearest[code] = placer.nearest(code)

    # by name

    def _scores(self, column: str) -> dict[str, float]:
        """Return how alike a column's name is to those of all dimensions."""
        names = column_names(column)
        found: dict[str, float] = {}
        for target in (*self.model.dimensions, *self.model.quantities):
            known = (name_of(target), *self.words.columns.get(target, ()))
            found[target] = max(alike(a, b) for a in names for b in known)
        return found

    def _by_name(self) -> None:
        wanted = sorted(
            (
                (-score, order, dimension, look)
                for order, look in enumerate(self._free)
                for dimension, score in self._scores(look.name).items()
                if score >= NAMED and dimension in self.model.dimensions
            ),
            key=lambda each: each[:3],
        )
        for minus, _, dimension, look in wanted:
            if look not in self._free:
                continue
            known = self.entries.get(dimension)
            if known is None:
                entry = self._entry(dimension, look, certain=-minus >= _CERTAIN)
                if entry is not None:
                    self.entries[dimension] = entry
            elif known.note == "" and not known.forms:
                self._another(dimension, known, look)

    def _entry(self, dimension: str, look: Look, *, certain: bool) -> Entry | None:
        """Return the entry of a column whose name fits, if its form does."""
        form = self.model.dimensions[dimension]
        if "year" in form.levels:
            return self._calendar(look)
        if look.flag and not form.single:
            return None  # one column of a group
        best = self._coded(form, look)
        if best is None:
            return None
        share = _share(best.codes.values())
        if share < (_SOME if certain else _PLACED):
            return None
        if look.is_free(len(best.codes)):
            best.leave_untold()
        return best

    def _coded(self, form: Dimension, look: Look) -> Entry | None:
        """Return the codes of a column, split where that places more of them."""
        separators = [None if form.single else look.separator(), None]
        found: list[tuple[float, int, Entry]] = []
        for order, separator in enumerate(dict.fromkeys(separators)):
            codes = self._codes(look.name, separator)
            if not codes:
                continue
            entry = Entry(column=look.name, separator=separator)
            for code in codes:
                self._put(entry, form.name, code)
            share = _share(entry.codes.values())
            # A comma may be part of a name; the other two part codes and nothing else.
            apart = separator not in (None, ",")
            found.append((share, 2 * apart + order, entry))
        return max(found, key=lambda each: each[:2])[2] if found else None

    def _another(self, dimension: str, known: Entry, look: Look) -> None:
        """Add a second column to a dimension that holds several values."""
        form = self.model.dimensions[dimension]
        first = known.column or (known.columns[0] if known.columns else "")
        if form.single or not _numbered_alike(first, look.name):
            return
        if len(known.columns) + 1 > form.max_values:
            return
        entry = self._coded(form, look)
        if entry is None or entry.separator != known.separator:
            return
        if look.is_free(len(entry.codes)):
            entry.leave_untold()
        known.untold += entry.untold
        known.columns = (*(known.columns or (first,)), look.name)
        known.column = None
        known.codes |= entry.codes
        known.nearest |= entry.nearest

    # dates

    def _calendar(self, look: Look) -> Entry | None:
        forms, either = forms_of(look, days=False)
        if not forms and not either:
            return None
        return Entry(column=look.name, forms=forms, either=either)

    def _only_date(self, birth_date: str | None) -> None:
        """Take the one date that there is for the month of an edition."""
        name = self.model.edition_dimension
        if name is None or name in self.entries:
            return
        dated = [
            (look, entry)
            for look in self._free
            if look.name != birth_date
            and max(look.dates[form] for form in WHOLE_DAYS) >= _A_DATE
            and (entry := self._calendar(look)) is not None
        ]
        if len(dated) == 1:
            _, entry = dated[0]
            entry.note = "the only date of the source; is it the one that is meant?"
            self.entries[name] = entry

    def _birth_date(self, column: str | None) -> None:
        at = self.entries.get(self.model.edition_dimension or "")
        bands = self.model.dimensions.get("age_band")
        look = self.seen.looks.get(column or "")
        if bands is None or look is None or at is None or at.column is None:
            return
        if "age_band" in self.entries:
            return
        forms, either = forms_of(look, days=True)
        if not (forms or either) or not set(at.forms) <= WHOLE_DAYS:
            return
        self.entries["age_band"] = Entry(
            birth_date=column,
            at=at.column,
            forms=tuple(dict.fromkeys((*forms, *at.forms))),
            either=either or at.either,
        )

    # yes or no, and numbers

    def _flags(self) -> None:
        """Find the columns that each stand for one value of a dimension."""
        several = [d for d in self.model.dimensions.values() if not d.single]
        flags = [look.name for look in self._free if look.flag]
        prefixes = _prefixes(flags)
        # A column of such a group may hold nothing as far as was looked.
        flags += [
            look.name
            for look in self._free
            if not look.filled and prefixes & _prefixes([look.name], least=1)
        ]
        for column in flags:
            best = max(
                (
                    (score, dimension.name, node)
                    for dimension in several
                    for score, node in self._flag(dimension, column, prefixes)
                ),
                default=(0.0, "", ""),
            )
            score, dimension_name, node = best
            if score < NAMED:
                continue
            entry = self.entries.setdefault(dimension_name, Entry())
            if entry.column is None and not entry.columns:
                entry.flags[column] = node

    def _flag(
        self, dimension: Dimension, column: str, prefixes: set[Name]
    ) -> Iterator[tuple[float, str]]:
        """Yield the values that a column may stand for, and how sure that is."""
        placer = self._placer(dimension.name)
        whole = name_of(column)
        known = (name_of(dimension.name), *self.words.columns.get(dimension.name, ()))
        for cut in range(1, len(whole)):
            head, rest = whole[:cut], whole[cut:]
            sure = max(alike(head, name) for name in known)
            if sure < NAMED:
                continue
            if (found := self._one(placer, rest)) is not None:
                several = 0.02 if head in prefixes else 0.0
                yield sure * _CERTAIN + several, found
        found = self._one(placer, whole)
        if found is not None and found != OTHER:
            yield 0.9, found

    def _one(self, placer: Placer, name: Name) -> str | None:
        placed = placer.place(" ".join(name))
        if len(placed) == 1 and placed[0] not in (UNKNOWN, NONE):
            return placed[0]
        return None

    def _quantities(self) -> None:
        for look in self._free:
            scores = self._scores(look.name)
            best = max(self.model.quantities, key=lambda n: scores[n], default=None)
            if best is None or best in self.quantities or scores[best] < NAMED:
                continue
            if look.numbers >= _A_NUMBER:
                self.quantities[best] = look.name, look.comma

    # by codes alone, and what is left

    def _by_codes(self) -> None:
        for look in self._free:
            if not look.repeats or look.flag or look.numbers >= _A_NUMBER:
                continue
            if max(look.dates.values()) >= _A_DATE:
                continue
            fitting = [
                (dimension.name, entry)
                for dimension in self.model.dimensions.values()
                if dimension.name not in self.entries
                and "year" not in dimension.levels
                and (entry := self._coded(dimension, look)) is not None
                and _tells(entry.codes.values())
                and _share(entry.codes.values()) >= _PLACED_ALONE
            ]
            if len(fitting) == 1:
                name, entry = fitting[0]
                entry.note = "recognised by its codes; is it the one that is meant?"
                self.entries[name] = entry
            elif fitting:
                self.maybe[look.name] = tuple(name for name, _ in fitting)

    def _leftovers(self, birth_date: str | None) -> None:
        for look in self._free:
            if look.name in self.maybe or look.name == birth_date:
                continue
            scores = self._scores(look.name)
            near = sorted(
                (name for name in scores if scores[name] >= _MAYBE),
                key=lambda name: -scores[name],
            )
            free = [
                name
                for name in near
                if name not in self.entries and name not in self.quantities
            ]
            self.maybe[look.name] = tuple(free[:3])


def forms_of(look: Look, *, days: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the forms of a column's dates, and those of which one must be chosen."""
    shares = {
        form: share
        for form, share in look.dates.items()
        if share >= _SOME and (form in WHOLE_DAYS or not days)
    }
    either: tuple[str, ...] = ()
    for pair in _AMBIGUOUS:
        one, other = (look.dates[form] for form in pair)
        if max(one, other) < _SOME:
            continue
        if one == other:
            either = pair
            shares.pop(pair[1], None)
        else:
            shares.pop(pair[one > other], None)
    forms = sorted(shares, key=lambda form: -shares[form])
    if sum(shares.values()) < _A_DATE:
        return (), ()
    return tuple(form for form in forms if form not in either), either


def _share(placed: Iterable[Placed]) -> float:
    codes = list(placed)
    return sum(map(bool, codes)) / max(len(codes), 1)


def _tells(placed: Iterable[Placed]) -> bool:
    """Tell whether codes say something of one dimension and not of any."""
    found = {value for each in placed for value in each}
    return len(found - {UNKNOWN, NONE, OTHER, "yes", "no"}) >= 2  # noqa: PLR2004


def _numbered_alike(one: str, other: str) -> bool:
    """Tell whether two names differ in a number only, such as ``nationality_2``."""
    strip = "0123456789_ -."
    return one.rstrip(strip).casefold() == other.rstrip(strip).casefold()


def _prefixes(columns: Sequence[str], least: int = 2) -> set[Name]:
    """Return the beginnings that several columns have."""
    counts: dict[Name, int] = {}
    for column in columns:
        whole = name_of(column)
        for cut in range(1, len(whole)):
            counts[whole[:cut]] = counts.get(whole[:cut], 0) + 1
    return {name for name, count in counts.items() if count >= least}
