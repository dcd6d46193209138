"""The links that a process keeps, as a member of the cache: figures, and dropped by pattern."""

from datetime import UTC, datetime

import pytest

from mainstem.links.cache import LinkCache
from mainstem.links.resolve import Link
from mainstem.platform.cache import Change, Counts
from mainstem.platform.settings import Settings

PLACES = {
    1: ("/menu", "/wine", "go.example.com/menu", "/a:b"),
    2: ("/theirs", "go.example.org/menu"),
}


@pytest.fixture
def links() -> LinkCache:
    """Return links of two tenants, in both halves of the cache."""
    cache = LinkCache("postgresql://nowhere", Settings(_env_file=None, link_cache_size=100))
    made = [(tenant_id, place) for tenant_id, places in PLACES.items() for place in places]
    for tenant_id, place in made[:3]:
        _keep(cache, tenant_id, place)
    cache._young, cache._old = {}, cache._young
    for tenant_id, place in made[3:]:
        _keep(cache, tenant_id, place)
    return cache


def _keep(cache: LinkCache, tenant_id: int, place: str) -> None:
    host, _, slug = place.partition("/")
    fields = {"tenant_id": tenant_id, "host": host, "slug": slug, "tracking_id": slug}
    link = Link(link_id=1, target_url="https://example.com/", created_at=datetime.now(UTC), title=None, **fields)
    link.age = cache._age
    cache._keep(place, link)


def kept(cache: LinkCache) -> set[str]:
    return {*cache._young, *cache._old}


@pytest.mark.parametrize(
    ("region", "pattern", "dropped"),
    [
        ("links", "1:*", {"/menu", "/wine", "go.example.com/menu", "/a:b"}),
        ("links", "2:*", {"/theirs", "go.example.org/menu"}),
        ("links", "1:/menu", {"/menu"}),
        ("links", "1:go.example.com/*", {"go.example.com/menu"}),
        ("links", "1:*/menu", {"/menu", "go.example.com/menu"}),
        ("links", "1:/a%3Ab*", {"/a:b"}),
        ("*", "1:links:/w*", {"/wine"}),
        ("*", "1:webhook:12:*", set()),
        ("links", "3:*", set()),
        ("links", "x*y:1", set()),
        ("*", "*", {*PLACES[1], *PLACES[2]}),
    ],
)
def test_a_pattern_drops_the_links_that_it_means(
    links: LinkCache, region: str, pattern: str, dropped: set[str]
) -> None:
    before = kept(links)
    assert links.forget(Change(region, pattern)) == len(dropped)
    assert before - kept(links) == dropped


def test_a_link_counts_once_in_whichever_half_it_is(links: LinkCache) -> None:
    assert links.counts() == Counts(0, 0, 6, 6 * 1_024)
    for place in (*PLACES[1], *PLACES[2], "/unknown"):
        links.fresh(place)
    assert links.counts() == Counts(6, 0, 6, 6 * 1_024)
