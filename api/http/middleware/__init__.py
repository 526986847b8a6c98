"""ASGI middleware around every request.

In order from the outside: `plain_requests`, CORS, `request_metrics`, `unread_bodies`, `request_audit`, `problems`,
`authentication`. Read `problems` first: it turns errors into responses.
"""
