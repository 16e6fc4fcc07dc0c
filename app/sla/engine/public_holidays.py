"""Public holidays of countries and their parts, from the ``holidays`` package."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import date
from functools import lru_cache

import holidays


@lru_cache(maxsize=1)
def supported_countries() -> Mapping[str, frozenset[str]]:
    """Country (ISO 3166-1 alpha-2) to its subdivisions, by codes (ISO 3166-2) and by other names."""
    listed = holidays.list_supported_countries(include_aliases=True)
    return {country: frozenset(parts) for country, parts in listed.items()}


def supported_subdivisions(country: str) -> frozenset[str]:
    """Subdivisions whose holidays differ; empty for most countries and for an unknown one."""
    return supported_countries().get(country, frozenset())


@lru_cache(maxsize=4_096)
def public_holidays(country: str, subdivision: str | None, year: int) -> Mapping[date, str]:
    """Local date to name, in the order of dates, with the days off for holidays that fall on weekends.

    Few countries have lists for every year; where there is none, there is no holiday.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the years that a country's list covers
        found = holidays.country_holidays(country, subdiv=subdivision, years=year, expand=False)
    return {day: name for day, name in sorted(found.items()) if day.year == year}
