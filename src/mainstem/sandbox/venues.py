"""A made-up group of venues: what stands in both systems before anything happens."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Room:
    """A room of a site, as Tripleseat has it."""

    room_id: int
    name: str
    capacity: int


@dataclass(frozen=True, slots=True)
class Site:
    """One restaurant: a site and a location at Tripleseat, an establishment at Revel."""

    site_id: int
    location_id: int
    establishment: int
    name: str
    timezone: str
    tax_rate: Decimal
    first_product: int
    """Id of its first product at Revel; the others follow in the order of the menu."""
    rooms: tuple[Room, ...]

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.timezone)


@dataclass(frozen=True, slots=True)
class Dish:
    """Something on the menu of all sites."""

    name: str
    """At Revel."""
    described: str
    """At Tripleseat, where the sales team writes as it likes."""
    category: str
    price: Decimal
    active: bool = True


GROUP: Final = "Harbour & Vine Restaurants"

SITES: Final = (
    Site(
        15691,
        20411,
        4,
        "Harbour & Vine Brooklyn",
        "America/New_York",
        Decimal("0.08875"),
        501,
        (Room(31001, "Boathouse", 120), Room(31002, "Cellar", 36), Room(31003, "Terrace", 60)),
    ),
    Site(
        15702,
        20412,
        5,
        "Harbour & Vine Chicago",
        "America/Chicago",
        Decimal("0.1075"),
        601,
        (Room(31011, "Lake Room", 90), Room(31012, "Library", 24)),
    ),
    Site(
        15733,
        20413,
        6,
        "Harbour & Vine Phoenix",
        "America/Phoenix",
        Decimal("0.086"),
        701,
        (Room(31021, "Courtyard", 150),),
    ),
)

FOREIGN: Final = Site(0, 20499, 99, "Somebody else's", "Europe/London", Decimal(0), 901, (Room(31099, "Room", 10),))
"""What a site is like that is not of this group."""

MENU: Final = (
    Dish("Oysters Dozen", "Oysters, one dozen", "Appetizers", Decimal("42.00")),
    Dish("Crab Cakes", "Crab Cakes", "Appetizers", Decimal("24.00")),
    Dish("Cheese Board", "Artisan cheese board", "Appetizers", Decimal("68.00")),
    Dish("Caesar Salad", "Caesar Salad", "Appetizers", Decimal("14.50")),
    Dish("Grilled Salmon", "Grilled Salmon", "Entrees", Decimal("36.00")),
    Dish("Short Rib", "Braised short rib", "Entrees", Decimal("39.50")),
    Dish("Half Chicken", "Roasted half chicken", "Entrees", Decimal("31.00")),
    Dish("Mushroom Risotto", "Mushroom Risotto (V)", "Entrees", Decimal("27.25")),
    Dish("Lemon Tart", "Lemon Tart", "Desserts", Decimal("11.00")),
    Dish("Chocolate Torte", "Flourless chocolate torte", "Desserts", Decimal("12.75")),
    Dish("House Red Bottle", "House red wine, bottle", "Beverages", Decimal("44.00")),
    Dish("House White Bottle", "House white wine, bottle", "Beverages", Decimal("44.00")),
    Dish("Sparkling Water 1L", "Sparkling water, 1 L", "Beverages", Decimal("8.00")),
    Dish("Coffee Service", "Coffee & tea service, per person", "Beverages", Decimal("5.75")),
    Dish("Beer and Wine Package", "Beer & wine package, 3 hours, per person", "Packages", Decimal("48.00")),
    Dish("Winter Punch", "Winter punch bowl", "Beverages", Decimal("95.00"), active=False),
)

OCCASIONS: Final = tuple(
    "Wedding Reception|Rehearsal Dinner|50th Birthday|Product Launch|Board Dinner|Retirement Party|Holiday Party"
    "|Engagement Party|Alumni Night|Charity Gala|Team Offsite|Wine Club Dinner".split("|")
)
GUESTS: Final = tuple(
    "Amara Okafor|Lucía Fernández|Björn Lindqvist|Mei-Ling Chen|Patrick O'Hara|Nadia Haddad|Tomás Silva|Ingrid Johansen"
    "|Ravi Subramanian|Zoë Müller|Hannah Goldberg|Darius Whitfield".split("|")
)


def site_of(site_id: int) -> Site:
    """Return a site of the group; for any other id one that is not."""
    for site in SITES:
        if site.site_id == site_id:
            return site
    return Site(
        site_id,
        FOREIGN.location_id,
        FOREIGN.establishment,
        FOREIGN.name,
        FOREIGN.timezone,
        FOREIGN.tax_rate,
        FOREIGN.first_product,
        FOREIGN.rooms,
    )


def product_id(site: Site, place: int) -> int:
    """Return Revel's id of the dish at a place of the menu."""
    return site.first_product + place
