"""Site tracking: page views and whatever else a site's pages send, as visitors, sessions and roll-ups.

The public door is small: `feed.SITE_FEED` for the loader, `routes.build_router` for the API, `receive.site_event` for
the front, `access_log` for imports, `tracker` for browsers. This package itself imports nothing, so that each part
costs only what it needs.
"""
