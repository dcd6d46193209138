"""The error tree. Raised anywhere, rendered once, as problem+json (RFC 9457) by `mainstem.platform.http`.

The class docstring is the public title; `code` is stable and documented; `detail` is a human sentence
about this one case and may name a `field`. Errors with status 5xx never carry internals in `detail`.
"""

from collections.abc import Mapping


class MainstemError(Exception):
    """Something went wrong."""

    code: str = "internal"
    status: int = 500

    def __init__(
        self,
        detail: str = "",
        *,
        field: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Keep the sentence for the caller, the field it is about, a narrower code and extra response headers."""
        super().__init__(detail or self.title())
        self.detail = detail or self.title()
        self.field = field
        if code is not None:
            self.code = code
        self.headers: dict[str, str] = dict(headers or {})

    @classmethod
    def title(cls) -> str:
        """Return the public one-sentence meaning of this kind of error."""
        return (cls.__doc__ or "").strip().splitlines()[0]


class BadRequestError(MainstemError):
    """The request can't be understood."""

    code = "bad_request"
    status = 400


class InvalidFieldError(MainstemError):
    """A field of the request is missing or wrong."""

    code = "invalid_field"
    status = 422


class UnauthorizedError(MainstemError):
    """The request carries no valid credentials."""

    code = "unauthorized"
    status = 401

    def __init__(self, detail: str = "", *, field: str | None = None) -> None:
        """As every error, with the challenge that RFC 9110 asks for."""
        super().__init__(detail, field=field, headers={"WWW-Authenticate": "Bearer"})


class ForbiddenError(MainstemError):
    """These credentials don't allow that."""

    code = "forbidden"
    status = 403


class NotFoundError(MainstemError):
    """There is no such thing."""

    code = "not_found"
    status = 404


class GoneError(MainstemError):
    """That was there and is over."""

    code = "gone"
    status = 410


class ConflictError(MainstemError):
    """That already exists or has changed meanwhile."""

    code = "conflict"
    status = 409


class PayloadTooLargeError(MainstemError):
    """The body or an event in it is too large."""

    code = "payload_too_large"
    status = 413


class UnsupportedMediaTypeError(MainstemError):
    """This content type or encoding is not accepted."""

    code = "unsupported_media_type"
    status = 415


class RateLimitedError(MainstemError):
    """Too many requests."""

    code = "rate_limited"
    status = 429

    def __init__(
        self,
        detail: str = "Rate limit exceeded",
        *,
        retry_after_s: int,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Keep the seconds after which a retry makes sense, sent as `Retry-After`."""
        super().__init__(detail, headers={"Retry-After": str(retry_after_s), **(headers or {})})
        self.retry_after_s = retry_after_s


class UnavailableError(MainstemError):
    """The service can't do that right now; try again."""

    code = "unavailable"
    status = 503

    def __init__(self, detail: str = "", *, retry_after_s: int = 5) -> None:
        """Keep the seconds after which a retry makes sense, sent as `Retry-After`."""
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})
