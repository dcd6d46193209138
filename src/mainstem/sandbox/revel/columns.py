"""The fields of what can be written: what a new row has, and which there are."""

from collections.abc import Mapping
from typing import Any, Final

from mainstem.sandbox.revel.tables import RESOURCES

NEW_ORDER: Final[Mapping[str, Any]] = {
    "uuid": None,
    "local_id": None,
    "call_name": None,
    "call_number": None,
    "notes": None,
    "number_of_people": None,
    "web_order": False,
    "pickup_time": None,
    "customer": None,
    "subtotal": 0.0,
    "tax": 0.0,
    "final_total": 0.0,
    "remaining_due": 0.0,
    "discount": None,
    "discount_amount": 0.0,
    "gratuity": 0.0,
    "closed": False,
    "opened": None,
    "printed": False,
    "voided": False,
    "voided_reason": None,
    "voided_date": None,
    "has_items": False,
    "has_history": False,
    "loyalty_account_id": None,
    "items": [],
}
NEW_ITEM: Final[Mapping[str, Any]] = {
    "uuid": None,
    "initial_price": None,
    "modifieritems": [],
    "modifier_amount": 0.0,
    "special_request": None,
    "product_name_override": None,
    "station": None,
    "dining_option": None,
    "tax_rate": 0.0,
    "tax_amount": 0.0,
    "temp_sort": None,
    "created_by": None,
    "voided_by": None,
    "voided_reason": None,
    "voided_date": None,
}
COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    "Order": frozenset(
        {*NEW_ORDER, *RESOURCES["Order"].links, "dining_option", "pos_mode", "created_date", "updated_date"}
    ),
    "OrderItem": frozenset({*NEW_ITEM, "order", "product", "quantity", "price", "created_date", "updated_date"}),
    "Payment": frozenset({"order", "amount", "payment_type", "tip", "created_date"}),
}
