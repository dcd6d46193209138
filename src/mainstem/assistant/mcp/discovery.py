"""What a client may know before it has a credential: RFC 9728 about this resource, RFC 8414 about who issues tokens.

A client that comes without a credential is sent here by the `WWW-Authenticate` of its 401.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from mainstem.assistant.mcp.hosts import parse_host
from mainstem.platform.settings import Settings

PATH: Final = "/mcp"
RESOURCE_METADATA: Final = "/.well-known/oauth-protected-resource/mcp"
RESOURCE_METADATA_OF_ROOT: Final = "/.well-known/oauth-protected-resource"
ISSUER_METADATA: Final = "/.well-known/oauth-authorization-server"
SCOPES: Final = ("tasks", "read", "connectors", "admin")
"""A caller needs one of them to come in; what each tool needs, the registry says."""


def base_url(scheme: str, host: str, public_url: str | None) -> str:
    """Return the address under which this request reached the hub: PUBLIC_URL when its host was named, else the host's own."""
    if public_url is not None:
        public, asked = parse_host(urlsplit(public_url).netloc), parse_host(host)
        if public is not None and asked is not None and public.name == asked.name:
            return public_url.rstrip("/")
    return f"{scheme}://{host}"


def resource_metadata(base: str, issuer: str) -> dict[str, Any]:
    """Return the RFC 9728 document of `/mcp` below an address."""
    return {
        "resource": base + PATH,
        "resource_name": "Mainstem",
        "authorization_servers": [issuer],
        "scopes_supported": list(SCOPES),
        "bearer_methods_supported": ["header"],
    }


def issuer_of(settings: Settings, base: str) -> str:
    """Return who issues tokens for this hub: the Better Auth server that the settings name, else the hub."""
    return settings.better_auth_issuer or base


def issuer_metadata(base: str) -> dict[str, Any]:
    """Return the RFC 8414 document of the hub itself: it gives tokens for e-mail and password, by no page of its own."""
    return {
        "issuer": base,
        "token_endpoint": f"{base}/api/v1/auth/token",
        "grant_types_supported": ["password"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": list(SCOPES),
    }


def challenge(base: str, *, error: str | None = None, description: str = "", scope: str = "") -> str:
    """Return a `WWW-Authenticate` of RFC 6750 that says where the metadata is; the texts are our own sentences."""
    told = {
        "error": error,
        "error_description": description or None,
        "scope": scope or None,
        "resource_metadata": base + RESOURCE_METADATA,
    }
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in told.items() if value)
