"""Authentication and authorization.

A bearer token comes in; a `Caller` with a tenant and scopes comes out, or an error.
Read `scopes` first.
"""
