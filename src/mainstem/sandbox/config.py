"""What can be set while the sandbox runs: limits, habits, and what is not known for sure about the real services."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """How both services behave; `PATCH /admin/config` changes it."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    tripleseat_per_second: int = Field(default=10, ge=0, description="Requests per second and client; 0 is no limit.")
    tripleseat_page_size: int = Field(default=50, ge=1, description="Results of a page.")
    line_items_in_api: bool = Field(
        default=True, description="show_financial=true also shows line items; the vendor has said both."
    )
    token_lifetime_s: float = Field(default=7200, ge=0, description="How long an access token holds.")
    signature_form: Literal["timed", "bare"] = Field(
        default="timed", description="X-Signature: t=…,v1=… of time and body, or the bare hex of the body alone."
    )
    webhook_resend_s: float = Field(default=1.0, ge=0, description="Pause before a webhook is sent again.")
    webhook_timeout_s: float = Field(default=10.0, gt=0, description="How long a receiver may take.")
    webhook_disable_after: int = Field(default=100, ge=1, description="Failures in a row that switch an endpoint off.")
    revel_per_minute: int = Field(default=0, ge=0, description="Requests per minute and key; 0 is no limit.")
    revel_most_objects: int = Field(default=250, ge=1, description="Objects of a page at most.")
    revel_denied: list[str] = Field(default_factory=list, description="Resources that the key has no permission for.")
    cart_text_plain_only: bool = Field(default=False, description="The cart API understands text/plain alone.")
    cart_keeps_names: bool = Field(
        default=True, description="The cart API keeps orderInfo.local_id and uuid; nobody has said whether it does."
    )
    unique_uuid: bool = Field(default=False, description="A second order with the same uuid is refused.")
    revel_webhook_url: str | None = Field(default=None, description="Where Revel sends order.finalized; none: nowhere.")
