"""The aiohttp side: routes, middleware, connections."""
