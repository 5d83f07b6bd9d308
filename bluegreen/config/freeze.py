"""The shape of `freeze`: times in which no new risk is begun. Types only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, time
from functools import cached_property
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bluegreen.config.model import Model
from bluegreen.config.units import Name

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FORMS = "`18:00` of each day, `Fri 18:00` of each week, or `2026-12-20 18:00` once"
_MOMENT = re.compile(r"(?:(?P<day>[A-Za-z]{3}) |(?P<date>\d{4}-\d{2}-\d{2})[ T])?(?P<hour>\d{1,2}):(?P<minute>\d{2})")
_NEVER = ("failback", "halt", "abort")
_ACTIONS = ("deploy", "approve", "promote", "release")


@dataclass(frozen=True, slots=True)
class Moment:
    """A time on a clock on the wall: of each day, of each week where `day` is given, `on` one date."""

    at: time
    day: int | None = None
    on: date | None = None

    @property
    def form(self) -> str:
        """How often it comes."""
        return "once" if self.on is not None else "each day" if self.day is None else "each week"

    @property
    def order(self) -> tuple[date, int, time]:
        """Which of two of the same form is the earlier one, within a day, a week or for all time."""
        return self.on or date.min, self.day or 0, self.at


def moment(text: str) -> Moment:
    """`18:00`, `Fri 18:00` or `2026-12-20 18:00`. Raises ValueError."""
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a time; wanted {_FORMS}")
    try:
        at = time(int(match["hour"]), int(match["minute"]))
        on = date.fromisoformat(match["date"]) if match["date"] else None
    except ValueError as error:
        raise ValueError(f"{text!r} is not a time ({error}); wanted {_FORMS}") from error
    if match["day"] and match["day"].title() not in DAYS:
        raise ValueError(f"{text!r} names no day; wanted one of {', '.join(DAYS)}")
    return Moment(at, DAYS.index(match["day"].title()) if match["day"] else None, on)


def _well_formed(text: str) -> str:
    moment(text)
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # not found; a directory of zones; no name at all
        raise ValueError(f"{name!r} is no time zone; wanted one such as UTC or Europe/Zurich") from error
    return name


def _freezable(value: object) -> object:
    if value in _NEVER:
        raise ValueError(f"{value} is never frozen; wanted of {', '.join(_ACTIONS)}")
    return value


Time = Annotated[str, AfterValidator(_well_formed)]
Action = Annotated[Literal["deploy", "approve", "promote", "release"], BeforeValidator(_freezable)]


class FreezeWindow(Model):
    """One freeze. A failback, a halt and an abort are never frozen, nor is any way out of a halt."""

    name: Name
    why: str = Field("", description="told to whoever it holds up")
    start: Time = Field(description=_FORMS)
    end: Time = Field(description="in the same form; before `start`, it is in the next day or week")
    zone: Annotated[str, AfterValidator(_zone)] = Field("UTC", description="an IANA name, such as Europe/Zurich")
    actions: Annotated[list[Action], Field(min_length=1)] = Field(["deploy"], description="what is not begun")

    @cached_property
    def begins(self) -> Moment:
        """`start`, read."""
        return moment(self.start)

    @cached_property
    def ends(self) -> Moment:
        """`end`, read."""
        return moment(self.end)

    @model_validator(mode="after")
    def _one_form(self) -> FreezeWindow:
        if self.begins.form != self.ends.form:
            raise ValueError(f"`start` is {self.begins.form}, `end` is {self.ends.form}; wanted both in one form")
        if self.begins.order == self.ends.order:
            raise ValueError("`start` and `end` are the same; wanted some time between them")
        if self.begins.on is not None and self.ends.order < self.begins.order:
            raise ValueError("`end` is before `start`; wanted it after")
        return self
