"""What the web says about a visit: user agents, addresses of pages and referrers, and texts that may hold anything."""
