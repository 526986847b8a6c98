"""Authentication and authorization.

A bearer token becomes a `Caller` with a tenant and scopes, or an error. Read `scopes` first.
"""
